// Whether the INT8 detector says what was trained: each form of it on each back end, on the same images.

import {number, percent, t} from "../../lib/texts.js";
import {Table} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";

export function Drift({result}) {
  const {drift} = result;
  const columns = [
    {key: "precision", label: t("teach.column.precision"), render: (row) => html`<strong>${row.precision}</strong>`},
    {key: "backend", label: t("teach.column.backend")},
    {key: "noise", label: t("teach.column.noise"), numeric: true, render: (row) => percent(row.noise)},
    {key: "rank", label: t("teach.column.rank"), numeric: true, render: (row) => number(row.rank_correlation, 4)},
    {key: "auroc", label: t("teach.column.auroc"), numeric: true, render: (row) => number(row.image_auroc, 4)},
    {key: "threshold", label: t("teach.column.limit"), numeric: true, render: (row) => number(row.threshold, 4)},
    {key: "flips", label: t("teach.column.flips"), numeric: true, render: (row) => (row.verdict_flips === null
      ? "–" : t("teach.of", {part: row.verdict_flips, whole: drift.images}))},
  ];
  return html`<div class="stack">
    <p>${t(drift.synthetic ? "teach.drift_painted" : "teach.drift_real", {count: drift.images})}</p>
    <${Table} caption=${t("teach.drift_caption")} columns=${columns} rows=${drift.rows}
      rowKey=${(row) => `${row.precision} ${row.backend}`} />
    <p class="muted small">${t("teach.drift_hint")}</p></div>`;
}
