// The parts just below and just above a limit, to be looked at: they are what the limit decides about.

import {send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Field, attempt, toneOf} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Facts, score} from "./common.js";

/** @param {{near: {below: object[], above: object[]}, value: number, onReviewed: () => void}} props */
export function Near({near, value, onReviewed}) {
  const [opened, open] = useState(null);
  return html`<div class="near-columns">
    ${["below", "above"].map((side) => html`<section key=${side} class="card stack">
      <h2>${t(`recipes.just_${side}`)}</h2>
      ${near[side].length === 0 && html`<p class="muted">${t("recipes.no_images")}</p>`}
      <ul class="near-parts">${near[side].map((part) => html`<li key=${part.result_id}>
        <button type="button" onClick=${() => open(part)}>
          <img src=${imageOf(part, "original")} alt="" loading="lazy" />
          <span><${Badge} tone=${toneOf(part.verdict)}>${t(`common.verdict.${part.verdict}`)}<//>
            <span class="number">${score(part.score)}</span></span>
          <${Reviewed} reviews=${part.reviews} />
        </button></li>`)}</ul></section>`)}
    ${opened && html`<${Part} part=${opened} onClose=${() => open(null)} onReviewed=${() => (open(null), onReviewed())} />`}
  </div>`;
}

const imageOf = (part, kind) => `/api/results/${part.result_id}/images/${kind}`;

/** What somebody last found a part to be. */
function Reviewed({reviews}) {
  const last = reviews.at(-1);
  return last && html`<${Badge} tone=${last.label === "bad" ? "ng" : "ok"}>${t(`recipes.really_${last.label}`)}<//>`;
}

function Part({part, onClose, onReviewed}) {
  const [heatMap, setHeatMap] = useState(false);
  const [note, setNote] = useState("");
  const review = (label) => attempt(async () => {
    await send("POST", `/api/results/${part.result_id}/reviews`, {label, note: note.trim()});
    onReviewed();
  }, t("recipes.reviewed"));
  const kind = heatMap && part.images.heat_map ? "heat_map" : "original";
  return html`<${Dialog} wide title=${t("recipes.part", {id: String(part.result_id)})} onClose=${onClose}>
    <div class="near-part">
      <div class="stack">
        <img src=${imageOf(part, kind)} alt=${t("recipes.part", {id: String(part.result_id)})} />
        ${part.images.heat_map && html`<div><${Button} aria-pressed=${heatMap} onClick=${() => setHeatMap(!heatMap)}>
          ${t("recipes.heat_map")}<//></div>`}
      </div>
      <div class="stack">
        <p class="row"><${Badge} tone=${toneOf(part.verdict)}>${t(`common.verdict.${part.verdict}`)}<//>
          <${Reviewed} reviews=${part.reviews} /></p>
        <${Facts} facts=${[
          [t("recipes.score"), score(part.score)],
          [t("recipes.severity"), score(part.severity)],
          [t("recipes.limit_then"), score(part.threshold)],
          [t("recipes.when"), dateTime(part.published_utc_ms)],
          [t("recipes.recipe"), `${part.recipe} ${part.revision}`],
        ]} />
        <${Field} label=${t("recipes.note")} maxlength="500" value=${note} onInput=${setNote} />
        <div class="row">
          <${Button} icon="cross" class="grow" onClick=${() => review("bad")}>${t("recipes.really_bad")}<//>
          <${Button} icon="tick" class="grow" onClick=${() => review("good")}>${t("recipes.really_good")}<//>
        </div>
        <p class="muted small">${t("recipes.review_means")}</p>
      </div>
    </div><//>`;
}
