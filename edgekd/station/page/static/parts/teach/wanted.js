// How many good images there are, how many are wanted, and why.

import {percent, t} from "../../lib/texts.js";
import {Table} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";

// Where the scale begins and ends; it is logarithmic, since so is what more images bring.
const LEAST = 10, MOST = 1000;

export function Wanted({project: {wanted, counts}}) {
  const aims = wanted.milestones.map((each) => each.good).filter((good) => good <= MOST);
  const marks = wanted.code === "too_few" ? [wanted.good + wanted.more, ...aims.slice(1)] : aims;
  const most = marks.at(-1);
  const place = (count) => Math.min(1, Math.max(0, Math.log(Math.max(count, 1) / LEAST) / Math.log(most / LEAST)));
  const tone = {too_few: "ng", few: "error", more: "accent", enough: "ok"}[wanted.code];
  return html`<div class="card wanted stack">
    <div class="row between">
      <p class="count"><strong>${wanted.good}</strong> ${t("teach.good_parts", {count: wanted.good})}</p>
      <p class="muted small">${["copies", "defect", "golden", "out"].filter((name) => counts[name]).map((name) =>
        t(`teach.count.${name}`, {count: counts[name]})).join(" · ")}</p>
    </div>
    <div class=${`meter tone-${tone}`} role="meter" aria-valuemin="0" aria-valuemax=${most}
      aria-valuenow=${Math.min(wanted.good, most)} aria-label=${t("teach.good_parts", {count: wanted.good})}>
      <span class="bar" style=${{width: `${100 * place(wanted.good)}%`}}></span>
      ${marks.map((mark) => html`<span key=${mark} class=${`mark ${wanted.good >= mark ? "reached" : ""}`}
        style=${{left: `${100 * place(mark)}%`}}>${mark}</span>`)}
    </div>
    <p aria-live="polite">${t(`teach.wanted.${wanted.code}`, {
      count: wanted.more, more: wanted.more, held_out: wanted.held_out, bound: percent(wanted.bound),
      then: percent(nextBound(wanted)),
    })}</p>
    <details><summary>${t("teach.why_so_many")}</summary>
      <div class="stack"><p class="muted">${t("teach.because")}</p>
      <${Table} rows=${wanted.milestones} columns=${[
        {key: "good", label: t("teach.column.good"), numeric: true},
        {key: "held_out", label: t("teach.column.held_out"), numeric: true},
        {key: "expected", label: t("teach.column.expected"), numeric: true, render: (row) => percent(row.expected)},
        {key: "bound", label: t("teach.column.bound"), numeric: true, render: (row) => percent(row.bound)},
      ]} /></div></details></div>`;
}

/** What the next milestone would promise. */
function nextBound(wanted) {
  return wanted.milestones.find((each) => each.good >= wanted.good + wanted.more)?.bound ?? wanted.bound;
}
