// The table of limits: what was asked for, what is expected and sure of it, and what the last parts show.

import {number, percent, t} from "../../lib/texts.js";
import {Badge, Table} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";
import {score} from "./common.js";

/** @param {{table: object[], value: number, onPick: (value: number) => void}} props */
export function Limits({table, value, onPick}) {
  const of = (part, whole) => (whole
    ? html`<span class="recipe-line">${t("recipes.of", {part: number(part), whole: number(whole)})}</span>` : "–");
  const columns = [
    {key: "threshold", label: t("recipes.limit"), render: (row) => html`<span class="number recipe-line">${score(row.threshold)}
      ${row.current && html`${" "}<${Badge} tone="accent">${t("recipes.now")}<//>`}</span>`},
    {key: "asked", label: t("recipes.asked"), numeric: true, render: (row) => (row.asked === null ? "–" : percent(row.asked, 0))},
    {key: "expected", label: t("recipes.expected"), numeric: true, render: (row) => percent(row.expected)},
    {key: "bound", label: t("recipes.bound"), numeric: true, render: (row) => percent(row.bound)},
    {key: "above", label: t("recipes.measured"), numeric: true, render: ({measured}) => of(measured.above, measured.parts)},
    {key: "good", label: t("recipes.good_above"), numeric: true, render: ({measured}) => of(measured.good_above, measured.good)},
    {key: "bad", label: t("recipes.bad_below"), numeric: true, render: ({measured}) => of(measured.bad_below, measured.bad)},
  ];
  return html`<section class="stack">
    <${Table} caption=${t("recipes.table")} columns=${columns} rows=${table} rowKey=${(row) => `${row.threshold} ${row.asked}`}
      onRow=${(row) => onPick(row.threshold)} selected=${keyOf(table, value)} />
    <p class="muted small">${t("recipes.table_about")}</p></section>`;
}

function keyOf(table, value) {
  const row = table.find((each) => each.threshold === value);
  return row ? `${row.threshold} ${row.asked}` : "";
}
