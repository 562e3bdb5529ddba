// One part: its image, what is on record of it, and what somebody who saw it found it to be.

import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {get, send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Field, VerdictShape, attempt, toneOf} from "../../lib/ui.js";
import {PartImage} from "./images.js";
import {partOf, sentenceOf} from "./wording.js";

/**
 * @param {{result: object, newer: (() => void)|null, older: (() => void)|null, onClose: () => void}} props `newer` and
 *   `older` go to the parts beside it, null at an end.
 */
export function PartDialog({result, newer, older, onClose}) {
  const [heatMap, setHeatMap] = useState(false);
  const [full, setFull] = useState(null); // As it is on record now: with its images and reviews.
  const id = result.result_id;
  const wanted = useRef(id);
  wanted.current = id;
  /** What is on record; where that cannot be read, what the page knows of the part is shown. */
  const load = () => get(`/api/results/${id}`).catch(() => result).then((found) => id === wanted.current && setFull(found));
  useEffect(() => (setHeatMap(false), setFull(null), void load()), [id]);
  useEffect(() => {
    const move = (event) => {
      if (event.target.matches("input, textarea")) return;
      if (event.key === "ArrowLeft") newer?.();
      if (event.key === "ArrowRight") older?.();
    };
    document.addEventListener("keydown", move);
    return () => document.removeEventListener("keydown", move);
  });
  const shown = full?.result_id === id ? {...result, ...full} : result;
  return html`<${Dialog} wide title=${`${t("operator.part")} ${partOf(result)}`} onClose=${onClose}>
    <div class="part-dialog">
      <div class="stack">
        <div class="image-box">${full && html`<${PartImage} key=${`${id}${heatMap}`} result=${shown} heatMap=${heatMap} whole />`}</div>
        <div class="row between">
          <${Button} icon="left" label=${t("operator.newer")} disabled=${!newer} onClick=${newer} />
          <${Button} aria-pressed=${heatMap} onClick=${() => setHeatMap(!heatMap)}>${t("operator.heat_map")}<//>
          <${Button} icon="right" label=${t("operator.older")} disabled=${!older} onClick=${older} />
        </div>
      </div>
      <div class="stack">
        <p class=${`part-verdict ${toneOf(result.verdict)}`}><${VerdictShape} verdict=${result.verdict} />
          ${t(`common.verdict.${result.verdict}`)}</p>
        ${result.error_code > 0 && html`<p>${sentenceOf(result.error_code) || result.error_text}</p>`}
        <${PartFacts} result=${result} />
        <${Reviews} key=${id} id=${id} reviews=${shown.reviews ?? []} onDone=${load} />
      </div>
    </div><//>`;
}

function PartFacts({result}) {
  const facts = [
    ["time", dateTime(result.published_utc_ms)],
    ["product_recipe", result.recipe ? `${result.recipe} · ${result.revision}` : "–"],
    ["lot", result.lot || "–"],
    ["serial", result.serial || "–"],
    ["camera", result.camera || "–"],
  ];
  return html`<dl class="pairs">${facts.map(([name, value]) => html`<div key=${name}>
    <dt>${t(`operator.${name}`)}</dt><dd class="number">${value}</dd></div>`)}</dl>`;
}

/** What people found; the verdict stays as it was given. */
function Reviews({id, reviews, onDone}) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState("");
  async function review(label) {
    setBusy(label);
    const done = () => send("POST", `/api/results/${id}/reviews`, {label, note: note.trim()});
    if (await attempt(done, t("operator.reviewed"))) {
      setNote("");
      onDone();
    }
    setBusy("");
  }
  return html`<div class="reviews stack">
    <h3>${t("operator.review")}</h3>
    ${reviews.map((each) => html`<p key=${each.time_utc_ms} class="small">
      <${Badge} tone=${each.label === "bad" ? "ng" : "ok"}>${t(`operator.really_${each.label}`)}<//>
      ${" "}${each.who}, ${dateTime(each.time_utc_ms)}${each.note && `: ${each.note}`}</p>`)}
    <${Field} label=${t("operator.note")} maxlength="500" value=${note} onInput=${setNote} />
    <div class="row">
      <${Button} icon="cross" class="big grow" busy=${busy === "bad"} onClick=${() => review("bad")}>${t("operator.really_bad")}<//>
      <${Button} icon="tick" class="big grow" busy=${busy === "good"} onClick=${() => review("good")}>${t("operator.really_good")}<//>
    </div>
    <p class="small muted">${t("operator.review_means")}</p>
  </div>`;
}
