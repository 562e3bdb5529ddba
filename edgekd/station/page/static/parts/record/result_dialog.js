// A result as it is on record: its images, all that is known of it, and what people found the part to be.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {dateTime, number, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Field, Notice, Segmented, VerdictShape, attempt, toneOf} from "../../lib/ui.js";
import {partOf, whatOf} from "../operator/wording.js";
import {useLoaded} from "./loaded.js";

const KINDS = ["heat_map", "original"];

/**
 * @param {{id: number, newer: (() => void)|null, older: (() => void)|null, onReviewed: () => void,
 *   onClose: () => void}} props
 */
export function ResultDialog({id, newer, older, onReviewed, onClose}) {
  const {data, problem, reload} = useLoaded(`/api/results/${id}`);
  const result = data?.result_id === id ? data : null;
  useEffect(() => {
    const move = (event) => {
      if (event.target.matches("input, textarea")) return;
      if (event.key === "ArrowLeft") newer?.();
      if (event.key === "ArrowRight") older?.();
    };
    document.addEventListener("keydown", move);
    return () => document.removeEventListener("keydown", move);
  });
  const footer = html`<${Button} icon="left" disabled=${!newer} onClick=${newer}>${t("record.newer")}<//>
    <${Button} icon="right" disabled=${!older} onClick=${older}>${t("record.older")}<//>`;
  return html`<${Dialog} wide title=${t("record.result_of", {part: result ? partOf(result) : String(id)})} onClose=${onClose}
    footer=${footer}>
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    ${result && html`<div class="result">
      <${Images} key=${id} result=${result} />
      <div class="stack">
        <p class=${`result-verdict ${toneOf(result.verdict)}`}><${VerdictShape} verdict=${result.verdict} />
          ${t(`common.verdict.${result.verdict}`)}</p>
        ${result.error_code > 0 && html`<p><strong>${whatOf(result.error_code, result.error_text)}</strong>
          ${" "}<span class="muted">${result.error_code} · ${result.error_text}</span></p>`}
        <${Pairs} pairs=${factsOf(result)} />
        <details><summary>${t("record.all_figures")}</summary><${Pairs} pairs=${figuresOf(result)} /></details>
        <${Reviews} key=${id} result=${result} onDone=${() => (reload(), onReviewed())} />
      </div></div>`}<//>`;
}

function Images({result}) {
  const kinds = KINDS.filter((kind) => result.images[kind]);
  const [kind, setKind] = useState(kinds[0]);
  if (!kinds.length) return html`<p class="empty">${t("record.no_image")}</p>`;
  const path = `/api/results/${result.result_id}/images/${kind}`;
  return html`<div class="stack">
    <a class="result-image" href=${path} target="_blank" rel="noopener"><img src=${path}
      alt=${t(`record.image.${kind}_of`, {part: partOf(result)})} /></a>
    ${kinds.length > 1 && html`<${Segmented} label=${t("record.shown_as")} value=${kind} onChange=${setKind}
      options=${kinds.map((value) => ({value, label: t(`record.image.${value}`)}))} />`}
  </div>`;
}

function Pairs({pairs}) {
  return html`<dl class="pairs">${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt>
    <dd class="number">${value}</dd></div>`)}</dl>`;
}

function factsOf(result) {
  return [
    [t("record.column.time"), dateTime(result.published_utc_ms)],
    [t("record.column.severity"), number(result.severity, 3)],
    [t("record.score"), `${number(result.score, 4)} / ${number(result.threshold, 4)}`],
    [t("record.recipe"), result.recipe ? `${result.recipe} · ${result.revision}` : "–"],
    [t("record.column.lot"), result.lot || "–"],
    [t("record.serial"), result.serial || "–"],
    [t("record.column.total"), `${number(result.total_ms, 1)} ms`],
  ];
}

function figuresOf(result) {
  const rows = [
    [t("record.result_id"), String(result.result_id)],
    [t("record.search.part"), String(result.part_id || "–")],
    [t("record.job"), String(result.job || "–")],
    [t("record.digest"), html`<code>${result.recipe_digest.slice(0, 16) || "–"}</code>`],
    [t("record.camera"), result.camera ? `${result.camera} · ${result.frame_id ?? "–"}` : "–"],
    [t("record.size"), result.image_width ? `${result.image_width} × ${result.image_height}` : "–"],
    [t("record.source"), result.source],
    [t("record.delivered"), result.delivered ? t(`record.delivery.${result.delivered}`) : "–"],
  ];
  const steps = Object.entries(result.timings_ms).map(([name, value]) => [t(`record.step.${name}`), `${number(value, 1)} ms`]);
  const checks = Object.entries(result.checks).map(([name, value]) => [t(`record.check.${name}`), number(value, 3)]);
  return [...rows, ...steps, ...checks];
}

/** What people found; the verdict stays as it was given. */
function Reviews({result, onDone}) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState("");
  async function review(label) {
    setBusy(label);
    const path = `/api/results/${result.result_id}/reviews`;
    if (await attempt(() => send("POST", path, {label, note: note.trim()}), t("record.reviewed_now"))) {
      setNote("");
      onDone();
    }
    setBusy("");
  }
  return html`<section class="stack">
    <h3>${t("record.column.review")}</h3>
    ${result.reviews.map((each) => html`<p key=${each.time_utc_ms} class="small">
      <${Badge} tone=${each.label === "bad" ? "ng" : "ok"}>${t(`record.review.${each.label}`)}<//>
      ${" "}${each.who}, ${dateTime(each.time_utc_ms)}${each.note && `: ${each.note}`}</p>`)}
    <${Field} label=${t("record.note")} maxlength="500" value=${note} onInput=${setNote} />
    <div class="row">
      <${Button} icon="cross" class="grow" busy=${busy === "bad"} onClick=${() => review("bad")}>${t("record.review.bad")}<//>
      <${Button} icon="tick" class="grow" busy=${busy === "good"} onClick=${() => review("good")}>${t("record.review.good")}<//>
    </div>
  </section>`;
}
