// All images of a project, small, by what they show.

import {t} from "../../lib/texts.js";
import {Button, Icon} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {HintBadges} from "./hints.js";
import {imageOf} from "./server.js";

const PAGE = 60;
const FILTERS = ["all", "hints", "good", "defect", "golden", "out"];

/**
 * @param {{project, images: object[], onOpen: (id: number) => void, onLabel: (image, label: string) => void}} props
 *   The newest image is the first.
 */
export function ImageGrid({project, images, onOpen, onLabel}) {
  const [filter, setFilter] = useState("all");
  const [most, setMost] = useState(PAGE);
  const matching = (name) => images.filter((each) => matches(each, name));
  const shown = matching(filter);
  const filters = FILTERS.filter((name) => name === "all" || name === filter || matching(name).length);
  if (!images.length) return null;
  return html`<section class="stack" aria-label=${t("teach.images")}>
    <div class="row chips" role="group" aria-label=${t("teach.filter")}>
      ${filters.map((name) => html`<button type="button" key=${name} class="chip" aria-pressed=${name === filter}
        onClick=${() => (setFilter(name), setMost(PAGE))}>
        ${t(`teach.filter_by.${name}`)} <span class="number">${matching(name).length}</span></button>`)}
    </div>
    <ul class="images">${shown.slice(0, most).map((image) => html`
      <${Thumbnail} key=${image.id} project=${project} image=${image} onOpen=${onOpen} onLabel=${onLabel} />`)}</ul>
    ${shown.length > most && html`<div><${Button} onClick=${() => setMost(most + PAGE)}>
      ${t("teach.show_more", {count: shown.length - most})}<//></div>`}
  </section>`;
}

function matches(image, filter) {
  if (filter === "all") return true;
  return filter === "hints" ? image.hints.length > 0 && image.label !== "out" : image.label === filter;
}

function Thumbnail({project, image, onOpen, onLabel}) {
  const isOut = image.label === "out";
  const name = t("teach.image", {id: String(image.id)});
  return html`<li class=${`thumbnail ${image.label}`}>
    <button type="button" class="as-image" onClick=${() => onOpen(image.id)}
      aria-label=${`${name}, ${t(`teach.label.${image.label}`)}`}>
      <img src=${imageOf(project.name, image.id, "thumbnail")} alt="" loading="lazy" />
      <span class="badges">
        ${image.label !== "good" && html`<span class=${`badge label-${image.label}`}>
          ${t(`teach.label.${image.label}`)}</span>`}
        ${!isOut && html`<${HintBadges} hints=${image.hints} />`}</span>
    </button>
    <button type="button" class="mark" onClick=${() => onLabel(image, isOut ? "good" : "out")}>
      <${Icon} name=${isOut ? "plus" : "cross"} />${t(isOut ? "teach.take_back" : "teach.mark_out")}
      <span class="hidden-text">${name}</span></button>
  </li>`;
}
