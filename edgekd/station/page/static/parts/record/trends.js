// How a station's results developed: verdicts, severities, image checks, times; and whether the line has changed.

import {html, useState} from "../../vendor/htm-preact.js";
import {Histogram, LineChart, StackedBars} from "../../lib/charts.js";
import {has, number, percent, t} from "../../lib/texts.js";
import {Notice, Segmented, Select, Table} from "../../lib/ui.js";
import {whatOf} from "../operator/wording.js";
import {useLoaded, withQuery} from "./loaded.js";
import {timeFormat, timeTicks} from "./times.js";

const HOURS = [1, 8, 24, 168, 744];
const EVERY_MS = 30_000;
const CHECKS = ["level", "sharpness", "detail", "structure", "saturated"];

export default function Trends({station, go}) {
  const [hours, setHours] = useState(8);
  const [recipe, setRecipe] = useState("");
  const {data, problem, busy} = useLoaded(withQuery("/api/trends", {station, hours, recipe}), EVERY_MS);
  return html`<div class="stack" aria-busy=${busy}>
    <div class="row between">
      <${Segmented} label=${t("record.span")} value=${hours} onChange=${setHours}
        options=${HOURS.map((value) => ({value, label: t(`record.hours.${value}`)}))} />
      <${RecipeChoice} recipe=${recipe} onChange=${setRecipe} />
    </div>
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    ${data ? html`<${Drift} drift=${data.drift} /><${Figures} found=${data} />
        <div class="charts"><${Charts} found=${data} /><${Errors} found=${data} onOpen=${(code) =>
          go({tab: "results", error: code})} /></div>
        ${data.sampled < data.n && html`<p class="small muted">${t("record.sampled", {n: data.sampled, of: data.n})}</p>`}`
      : !problem && html`<p class="empty">${t("common.loading")}</p>`}
  </div>`;
}

/** A choice among the recipes that are released, or all. */
export function RecipeChoice({recipe, onChange}) {
  const {data} = useLoaded("/api/recipes/released");
  const names = [...new Set((Array.isArray(data) ? data : []).map((each) => each.recipe))].sort();
  const options = [{value: "", label: t("record.all_recipes")}, ...names.map((name) => ({value: name, label: name}))];
  return html`<${Select} label=${t("record.recipe")} options=${options} value=${recipe} onChange=${onChange} />`;
}

function Drift({drift}) {
  if (drift.problem) return html`<${Notice} tone="accent">${t("record.drift.unknown")} ${drift.problem}<//>`;
  const name = `${drift.recipe} · ${drift.revision}`;
  if (drift.moved.length) {
    return html`<${Notice} tone="error"><div><strong>${t("record.drift.moved", {recipe: name})}</strong>
      <ul>${drift.moved.map((line) => html`<li key=${line}>${movedLine(line)}</li>`)}</ul></div><//>`;
  }
  if (drift.looked_at < drift.needed) {
    return html`<${Notice}>${t("record.drift.few", {recipe: name, n: drift.looked_at, needed: drift.needed})}<//>`;
  }
  return html`<${Notice} tone="ok">${t("record.drift.calm", {recipe: name, count: drift.looked_at})}<//>`;
}

/** A line of the station's, in the reader's language: what moved where, and since when. */
function movedLine(line) {
  const [, what, since] = line.match(/^(?:scores have moved|images have been) (.+?)(?: than the good ones)? since (.+): /) ?? [];
  const key = `record.drift.line.${what?.replace(" ", "_")}`;
  if (!what || !has(key)) return line;
  return t(key, {since: since.replace(/\b(part|result) (?=\d)/, (_, word) => `${t(`record.word.${word}`)} `)});
}

/** The figures of the whole time. */
function Figures({found}) {
  const sum = (name) => found.buckets.reduce((total, bucket) => total + bucket[name], 0);
  const [ok, ng, error] = ["ok", "ng", "error"].map(sum);
  const judged = ok + ng;
  const reviewed = found.reviews.NG.good + found.reviews.NG.bad;
  const figures = [
    ["parts", number(found.n)],
    ["yield", judged ? percent(ok / judged) : "–"],
    ["ng", number(ng)],
    ["error", number(error)],
    ["missed", number(found.missed)],
    ["false_rejects", reviewed ? t("record.of", {n: found.reviews.NG.good, of: reviewed}) : "–"],
    ["misses", number(found.reviews.OK.bad)],
  ];
  return html`<dl class="figures">${figures.map(([name, value]) => html`<div class="card" key=${name}>
    <dt>${t(`record.figure.${name}`)}</dt><dd class="number">${value}</dd></div>`)}</dl>`;
}

function Charts({found}) {
  const along = alongTime(found);
  const {buckets} = found;
  const line = (pick) => buckets.map((bucket) => [middle(bucket), pick(bucket)]);
  const verdicts = ["ok", "ng", "error"].map((tone) => ({tone, name: t(`common.verdict.${tone.toUpperCase()}`)}));
  const format = timeFormat(found.to - found.from);
  const milliseconds = (value) => `${number(value, 0)} ms`;
  return html`
    <${Chart} title=${t("record.chart.verdicts")}><${StackedBars} label=${t("record.chart.verdicts")} groups=${verdicts}
      bars=${buckets.map((each) => ({label: format(each.from), values: [each.ok, each.ng, each.error]}))} /><//>
    <${Chart} title=${t("record.chart.rejects")} text=${t("record.chart.rejects_text")}>
      <${LineChart} label=${t("record.chart.rejects")} ...${along} yFormat=${(value) => percent(value, 1)}
        series=${[{name: t("record.chart.rejects"), tone: "ng",
                   points: line(({ok, ng}) => (ok + ng ? ng / (ok + ng) : null))}]} /><//>
    <${Chart} title=${t("record.chart.severities")} text=${t("record.chart.severity_text")}>
      <${LineChart} label=${t("record.chart.severities")} ...${along} yFormat=${(value) => number(value, 2)}
        marks=${[{y: 1, label: t("record.limit"), tone: "ng"}, {y: 0, label: t("record.typical"), tone: "muted"}]}
        series=${[{name: "p50", tone: "accent", points: line(({severity}) => severity.p50)},
                  {name: "p95", tone: "accent", dashed: true, points: line(({severity}) => severity.p95)}]} /><//>
    <${Chart} title=${t("record.chart.histogram")} text=${t("record.chart.histogram_text")}>
      <${Histogram} label=${t("record.chart.histogram")} from=${found.severities.from} to=${found.severities.to} height=${220}
        xFormat=${(value) => number(value, 1)} marks=${[{x: 1, label: t("record.limit"), tone: "ng"}]}
        groups=${[{name: "OK", tone: "ok", counts: found.severities.ok}, {name: "NG", tone: "ng", counts: found.severities.ng}]} />
    <//>
    ${CHECKS.filter((name) => buckets.some((bucket) => bucket.checks[name])).map((name) => html`
      <${Chart} key=${name} title=${t(`record.check.${name}`)} text=${t(`record.check_text.${name}`)}>
        <${CheckChart} name=${name} found=${found} along=${along} /><//>`)}
    <${Chart} title=${t("record.chart.times")} text=${t("record.chart.times_text")}>
      <${LineChart} label=${t("record.chart.times")} ...${along} yFormat=${milliseconds}
        series=${[{name: "p50", tone: "accent", points: line(({total_ms: total}) => total.p50)},
                  {name: "p95", tone: "accent", dashed: true, points: line(({total_ms: total}) => total.p95)},
                  {name: t("record.longest"), tone: "muted", points: line(({total_ms: total}) => total.max)}]} /><//>`;
}

/** A check's median and spread, beside those of the good images that were taught. */
function CheckChart({name, found, along}) {
  const known = found.buckets.filter((bucket) => bucket.checks[name]);
  const good = found.drift.checks[name];
  const marks = good ? [{y: good.p5, label: t("record.good_p5")}, {y: good.p95, label: t("record.good_p95")}] : [];
  const share = name === "saturated"; // Of the pixels: mostly none, and so the axis has to begin somewhere.
  const most = Math.max(0.01, ...known.map((each) => each.checks[name].p95 ?? 0));
  const format = share ? (value) => percent(value, 1) : (value) => number(value, name === "level" ? 0 : 2);
  return html`<${LineChart} label=${t(`record.check.${name}`)} ...${along} height=${180} marks=${marks}
    yFormat=${format} yRange=${share ? [0, most] : undefined}
    bands=${[{name: "p5–p95", tone: "accent",
              points: known.map((each) => [middle(each), each.checks[name].p5, each.checks[name].p95])}]}
    series=${[{name: "p50", tone: "accent", points: known.map((each) => [middle(each), each.checks[name].p50])}]} />`;
}

function Errors({found, onOpen}) {
  const rows = Object.entries(found.errors).map(([code, count]) => ({code, count, what: whatOf(code, found.error_texts[code])}));
  rows.sort((one, other) => other.count - one.count);
  return html`<${Chart} title=${t("record.chart.errors")}><${Table} caption=${t("record.chart.errors")} rows=${rows}
    rowKey=${(row) => row.code} onRow=${(row) => onOpen(row.code)} empty=${t("record.no_errors")} columns=${[
      {key: "what", label: t("record.column.error")},
      {key: "code", label: t("record.column.code"), numeric: true},
      {key: "count", label: t("record.column.count"), numeric: true}]} /><//>`;
}

function Chart({title, text, children}) {
  return html`<section class="card chart-card"><h2>${title}</h2>
    ${text && html`<p class="small muted">${text}</p>`}${children}</section>`;
}

function alongTime(found) {
  return {xRange: [found.from, found.to], xTicks: timeTicks, xFormat: timeFormat(found.to - found.from)};
}

function middle(bucket) {
  return (bucket.from + bucket.to) / 2;
}
