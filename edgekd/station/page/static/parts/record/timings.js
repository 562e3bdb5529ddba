// What the steps from trigger to answer take, as it happens, beside the time that there is.

import {html, useState} from "../../vendor/htm-preact.js";
import {RangeBars, StackedBars} from "../../lib/charts.js";
import {number, t} from "../../lib/texts.js";
import {Button, Notice, Table} from "../../lib/ui.js";
import {useLoaded, withQuery} from "./loaded.js";
import {timeFormat} from "./times.js";

const EVERY_MS = 2000;
const STEPS = ["acquire", "check", "pre", "inference", "post", "answer"];
const clock = timeFormat(0);
const milliseconds = (value) => (value === null ? "–" : `${number(value, value && value < 10 ? 1 : 0)} ms`);

export default function Timings({station}) {
  const [live, setLive] = useState(true);
  const {data, problem} = useLoaded(withQuery("/api/timings", {station}), live ? EVERY_MS : 0);
  return html`<div class="stack">
    <div class="row between">
      <p>${data && t("record.timed", {count: data.n})}</p>
      <${Button} icon=${live ? "stop" : "play"} aria-pressed=${live} onClick=${() => setLive(!live)}>${t("record.live")}<//>
    </div>
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    ${data && (data.n ? html`<${Shown} found=${data} />` : html`<p class="empty">${t("record.nothing")}</p>`)}
  </div>`;
}

function Shown({found}) {
  const budget = found.budget_ms;
  const rows = STEPS.map((name) => ({name: t(`record.step.${name}`), ...found.steps[name]}));
  const all = [...rows, {name: t("record.step.total"), ...found.total}];
  const limit = budget === null ? {} : {limit: budget, limitLabel: t("record.budget", {ms: number(budget, 0)})};
  return html`
    ${budget !== null && html`<${Notice} tone=${found.late ? "error" : "ok"}>${found.late
      ? t("record.late", {count: found.late}) : t("record.in_time", {share: number((100 * (found.total.max ?? 0)) / budget, 0)})}<//>`}
    <div class="charts">
      <section class="card chart-card"><h2>${t("record.chart.steps")}</h2>
        <p class="small muted">${t("record.chart.steps_text")}</p>
        <${RangeBars} label=${t("record.chart.steps")} rows=${all} format=${milliseconds} ...${limit} /></section>
      <section class="card chart-card"><h2>${t("record.chart.newest")}</h2>
        <p class="small muted">${t("record.chart.newest_text")}</p>
        <${StackedBars} label=${t("record.chart.newest")} height=${260} groups=${STEPS.map((name, index) =>
          ({name: t(`record.step.${name}`), tone: `step-${index + 1}`}))}
          bars=${[...found.recent].reverse().map((each) => ({label: clock(each.published_utc_ms),
            values: STEPS.map((name) => each.steps[name] ?? 0)}))} /></section>
    </div>
    <${Table} caption=${t("record.chart.steps")} rows=${all} rowKey=${(row) => row.name} columns=${[
      {key: "name", label: t("record.column.step")},
      ...["p50", "p95", "max"].map((key) => ({key, label: key === "max" ? t("record.longest") : key, numeric: true,
                                             render: (row) => milliseconds(row[key])}))]} />`;
}
