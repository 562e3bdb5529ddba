// The threshold: what each limit promises, rejects and misses, and choosing another one.

import {send} from "../../lib/api.js";
import {number, percent, t} from "../../lib/texts.js";
import {Button, Icon, Notice, Table, attempt} from "../../lib/ui.js";
import {warningText} from "../../lib/warnings.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Picture} from "./common.js";
import {promiseOf} from "./outcome.js";
import {imageOf, pathOf} from "./server.js";
import {WorkLine} from "./work.js";

export function Limits({project, result, work}) {
  const {threshold, limits} = result;
  if (!threshold) return html`<${Notice} tone="ng">${t("teach.no_threshold")}<//>`;
  // Images that stand out are told by the images themselves, below.
  const warnings = threshold.warnings.filter(({code}) => code !== "set_aside");
  return html`<div class="stack">
    <p>${promiseOf(threshold) || threshold.promise}
      ${threshold.images_wanted && ` ${t("teach.promise_more", {count: threshold.images_wanted})}`}</p>
    ${warnings.map((each) => html`<${Notice} key=${each.text} tone="error">${warningText(each)}<//>`)}
    <${WorkLine} work=${work} kinds=${["threshold"]} />
    <${LimitTable} threshold=${threshold} limits=${limits} work=${work} />
    <${Suspicious} project=${project} suspicious=${threshold.suspicious} />
  </div>`;
}

function LimitTable({threshold, limits, work}) {
  const isChosen = (row) => row.false_reject_rate === threshold.false_reject_rate;
  const choose = (row) => () => work.begin("threshold", {false_reject_rate: row.false_reject_rate});
  const missed = (row) => (row.missed_bound === null ? t("teach.of", {part: row.missed, whole: row.ng})
    : `${t("teach.of", {part: row.missed, whole: row.ng})} (≤ ${percent(row.missed_bound)})`);
  const columns = [
    {key: "choose", label: t("teach.column.choose"), render: (row) => (isChosen(row)
      ? html`<strong class="chosen">${t("teach.chosen")}</strong>`
      : html`<${Button} disabled=${work.running} onClick=${choose(row)}
          label=${t("teach.choose_limit", {asked: percent(row.false_reject_rate)})}>${t("teach.choose")}<//>`)},
    {key: "asked", label: t("teach.column.asked"), numeric: true, render: (row) => percent(row.false_reject_rate)},
    {key: "value", label: t("teach.column.limit"), numeric: true, render: (row) => number(row.value, 4)},
    {key: "expected", label: t("teach.column.expected"), numeric: true, render: (row) => percent(row.expected)},
    {key: "bound", label: t("teach.column.bound"), numeric: true, render: (row) => percent(row.bound)},
    {key: "rejected", label: t("teach.column.rejected"), numeric: true,
     render: (row) => t("teach.of", {part: row.rejected, whole: row.good})},
    limits.some((row) => row.ng) && {key: "missed", label: t("teach.column.missed"), numeric: true, render: missed},
  ].filter(Boolean);
  return html`<${Table} caption=${t("teach.limits_caption")} columns=${columns} rows=${limits}
    rowKey=${(row) => row.false_reject_rate} selected=${threshold.false_reject_rate} />`;
}

/** Good images whose scores stand out: a person says whether they are good. */
function Suspicious({project, suspicious}) {
  const [out, setOut] = useState([]);
  const markOut = (id) => async () => {
    const path = pathOf(project.name, "images", String(id));
    if (await attempt(() => send("PATCH", path, {label: "out"}))) setOut([...out, id]);
  };
  const shown = suspicious.filter((each) => each.image !== null);
  if (!shown.length) return null;
  return html`<section class="stack" aria-labelledby="suspicious">
    <h2 id="suspicious">${t("teach.suspicious")}</h2>
    <p class="muted">${t("teach.suspicious_hint")}</p>
    <ul class="images">${shown.map((each) => html`<li key=${each.image}
      class=${`thumbnail ${out.includes(each.image) ? "out" : ""}`}>
      <a class="as-image" href=${imageOf(project.name, each.image, "full")} target="_blank" rel="noopener">
        <${Picture} project=${project} id=${each.image} /></a>
      <span class="caption small">${t("teach.score", {score: number(each.score, 3)})}</span>
      <button type="button" class="mark" disabled=${out.includes(each.image)} onClick=${markOut(each.image)}>
        <${Icon} name="cross" />${t(out.includes(each.image) ? "teach.label.out" : "teach.mark_out")}
        <span class="hidden-text">${t("teach.image", {id: String(each.image)})}</span></button></li>`)}</ul></section>`;
}
