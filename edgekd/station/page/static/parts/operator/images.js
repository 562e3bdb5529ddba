// Images of parts: found where they are, and drawn with the anomaly outlined.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {t} from "../../lib/texts.js";
import {partOf} from "./wording.js";

/**
 * Where an image of a result may be: among the newest of the station, small, or on record, as it was taken.
 * @param {object} result
 * @param {"original"|"heat_map"} kind
 * @param {boolean} whole Whether the one on record is wanted rather than the small one.
 * @returns {string[]} The best first.
 */
export function sourcesOf(result, kind, whole) {
  const sources = [];
  if (result.live && result.acquisition_id && result.image_height) {
    sources.push(`/api/stations/${result.station}/live/${result.acquisition_id}/${kind}`);
  }
  if (result.images?.[kind]) sources.push(`/api/results/${result.result_id}/images/${kind}`);
  return whole ? sources.reverse() : sources;
}

/**
 * Loads the first image that is there; one that is shown stays while it is among the sources.
 * @returns {{url: string, current: boolean, done: boolean}} The image, or the one before it while it is loaded; an empty
 *   URL where there is none, for good once it is done.
 */
export function useImage(sources) {
  const key = sources.join(" ");
  const [image, setImage] = useState({key: "", source: "", url: ""});
  useEffect(() => {
    if (sources.includes(image.source)) return undefined;
    const controller = new AbortController();
    find(sources, controller.signal).then(({source, blob}) => {
      if (!controller.signal.aborted) setImage({key, source, url: blob ? URL.createObjectURL(blob) : ""});
    });
    return () => controller.abort();
  }, [key]);
  useEffect(() => () => URL.revokeObjectURL(image.url), [image.url]);
  const current = sources.includes(image.source);
  const done = image.key === key;
  return {url: current || !done ? image.url : "", current, done};
}

async function find(sources, signal) {
  for (const source of sources) {
    const response = await fetch(source, {signal}).catch(() => null); // The server waits for what is being written.
    const blob = response?.ok ? await response.blob().catch(() => null) : null; // It may be given up while it is read.
    if (blob) return {source, blob};
  }
  return {source: "", blob: null};
}

/** An image of a result, its regions outlined. @param {{result, heatMap: boolean, whole?: boolean}} props */
export function PartImage({result, heatMap: wanted, whole = false}) {
  const heatMap = wanted && result.score !== null; // What was not judged has none.
  const {url, current, done} = useImage(sourcesOf(result, heatMap ? "heat_map" : "original", whole));
  const outlined = current && !heatMap && result.verdict === "NG" && result.regions.length > 0;
  const label = t(heatMap ? "operator.heat_map_of" : "operator.image_of", {part: partOf(result)});
  if (!url) return html`<p class="image-none">${done || !result.image_height ? t("operator.no_image") : ""}</p>`;
  return html`<div>
    <img src=${url} alt=${current ? label : ""} class=${current ? "" : "before"} />
    ${outlined && html`<${Outlines} result=${result} />`}
  </div>`;
}

/** Boxes around the regions: dark beneath light, so that they are seen on any image. */
function Outlines({result}) {
  const {image_width: width, image_height: height} = result;
  const room = Math.max(width, height) * 0.012;
  return html`<svg class="outlines" viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
    ${result.regions.flatMap(({box: [x, y, wide, high]}, index) => ["under", "over"].map((layer) => html`<rect
      key=${`${index}${layer}`} class=${layer} x=${x - room} y=${y - room} width=${wide + 2 * room}
      height=${high + 2 * room} rx=${room} />`))}
  </svg>`;
}
