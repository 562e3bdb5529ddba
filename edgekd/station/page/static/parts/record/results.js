// The record: what is looked for, what was found, and taking it away.

import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {get} from "../../lib/api.js";
import {dateTime, number, t} from "../../lib/texts.js";
import {Badge, Button, Notice, Segmented, Table, toneOf} from "../../lib/ui.js";
import {partOf, whatOf} from "../operator/wording.js";
import {ExportDialog} from "./export_dialog.js";
import {withQuery} from "./loaded.js";
import {ResultDialog} from "./result_dialog.js";
import {SearchForm, queryOf} from "./search_form.js";
import {shortTime} from "./times.js";

const PAGE = 48;

export default function Results({station, place, go}) {
  const [wanted, setWanted] = useState({verdict: place.error ? "ERROR" : "NG", error: place.error ?? ""});
  const [view, setView] = useState("images");
  const [exporting, setExporting] = useState(false);
  const query = {station, ...queryOf(wanted)};
  const found = useSearch(query);
  const opened = useOpened(place, go, found);
  useEffect(() => {
    if (place.error) go({error: ""}); // It stands in the form from now on.
  }, []);
  return html`<div class="stack">
    <${SearchForm} wanted=${wanted} onChange=${setWanted} />
    <div class="row between">
      <p role="status">${t("record.found", {count: found.results.length})}${found.next ? ` · ${t("record.more_may_be")}` : ""}</p>
      <div class="row">
        <${Segmented} label=${t("record.shown_as")} value=${view} onChange=${setView} options=${["images", "table"].map((value) =>
          ({value, label: t(`record.view.${value}`)}))} />
        <${Button} icon="download" onClick=${() => setExporting(true)}>${t("record.export")}<//>
      </div>
    </div>
    ${found.problem && html`<${Notice} tone="ng" alert>${found.problem}<//>`}
    ${view === "table" ? html`<${ResultTable} results=${found.results} onOpen=${opened.open} />`
      : html`<${Tiles} results=${found.results} onOpen=${opened.open} busy=${found.busy} />`}
    ${found.next && html`<div class="row"><${Button} busy=${found.busy} onClick=${found.more}>${t("record.more")}<//></div>`}
    ${opened.id && html`<${ResultDialog} id=${opened.id} newer=${opened.beside(-1)} older=${opened.beside(1)}
      onReviewed=${() => found.renew(opened.id)} onClose=${() => opened.open(null)} />`}
    ${exporting && html`<${ExportDialog} query=${query} onClose=${() => setExporting(false)} />`}
  </div>`;
}

/** Results of a search, page after page; a new search begins anew, and what an old one still answers is dropped. */
function useSearch(query) {
  const key = withQuery("/api/results", query);
  const [state, setState] = useState({results: [], next: null, problem: "", busy: true});
  const current = useRef("");
  async function load(before) {
    setState((old) => ({...old, busy: true}));
    try {
      const answer = await get(withQuery("/api/results", {...query, limit: PAGE, before_id: before}));
      if (current.current !== key) return;
      setState((old) => ({results: before ? [...old.results, ...answer.results] : answer.results,
                          next: answer.next_before_id, problem: "", busy: false}));
    } catch (error) {
      if (current.current === key) setState({results: [], next: null, problem: error.text ?? String(error), busy: false});
    }
  }
  useEffect(() => {
    current.current = key;
    const soon = setTimeout(() => load(null), 250); // While somebody types.
    return () => clearTimeout(soon);
  }, [key]);
  /** One of the results anew, such as after a review; it stays in its place. */
  async function renew(id) {
    const now = await get(`/api/results/${id}`).catch(() => null);
    if (now) setState((old) => ({...old, results: old.results.map((each) => (each.result_id === id ? now : each))}));
  }
  return {...state, renew, more: () => load(state.next)};
}

/** The result that is open, which the address names too. */
function useOpened(place, go, found) {
  const id = Number(place.result) || null;
  const at = found.results.findIndex((each) => each.result_id === id);
  const open = (result) => go({result: result?.result_id ?? ""});
  const beside = (step) => (at >= 0 && found.results[at + step] ? () => open(found.results[at + step]) : null);
  return {id, open, beside};
}

function Tiles({results, onOpen, busy}) {
  if (!results.length) return html`<p class="empty">${busy ? t("common.loading") : t("record.nothing")}</p>`;
  return html`<ul class="tiles">${results.map((result) => html`<li key=${result.result_id}>
    <button type="button" class="tile" onClick=${() => onOpen(result)} aria-label=${nameOf(result)}>
      ${imageOf(result) ? html`<img src=${imageOf(result)} alt="" loading="lazy" decoding="async" />`
        : html`<span class="tile-none">${t("record.no_image")}</span>`}
      <span class="tile-line"><${Badge} tone=${toneOf(result.verdict)}>${t(`common.verdict.${result.verdict}`)}<//>
        <span class="number">${result.severity === null ? "" : number(result.severity, 2)}</span></span>
      <span class="small number tile-name">${partOf(result)}</span>
      <span class="small muted number">${shortTime(result.published_utc_ms)}</span>
      <${Found} result=${result} />
    </button></li>`)}</ul>`;
}

/** What people found the part to be, last. */
export function Found({result}) {
  const last = result.reviews[result.reviews.length - 1];
  return last ? html`<${Badge} tone=${last.label === "bad" ? "ng" : "ok"}>${t(`record.review.${last.label}`)}<//>` : null;
}

function ResultTable({results, onOpen}) {
  const line = (text) => html`<span class="one-line">${text}</span>`;
  const columns = [
    {key: "part", label: t("record.column.part"), render: (row) => line(partOf(row))},
    {key: "time", label: t("record.column.time"), render: (row) => line(shortTime(row.published_utc_ms))},
    {key: "verdict", label: t("record.column.verdict"), render: (row) => html`<${Badge} tone=${toneOf(row.verdict)}>${
      t(`common.verdict.${row.verdict}`)}<//>`},
    {key: "severity", label: t("record.column.severity"), numeric: true, render: (row) => number(row.severity, 2)},
    {key: "found", label: t("record.column.review"), render: (row) => html`<${Found} result=${row} />`},
    {key: "recipe", label: t("record.recipe"), render: (row) => line(row.recipe ? `${row.recipe} · ${row.revision}` : "–")},
    {key: "lot", label: t("record.column.lot"), render: (row) => line(row.lot || "–")},
    {key: "total", label: t("record.column.total"), numeric: true, render: (row) => line(`${number(row.total_ms, 0)} ms`)},
    {key: "error", label: t("record.column.error"), render: (row) => row.error_code > 0 && html`<span
      class="written">${whatOf(row.error_code, row.error_text)}</span>`},
  ];
  return html`<${Table} caption=${t("record.tab.results")} columns=${columns} rows=${results} onRow=${onOpen}
    rowKey=${(row) => row.result_id} empty=${t("record.nothing")} />`;
}

function imageOf(result) {
  const kind = result.images.heat_map ? "heat_map" : result.images.original ? "original" : "";
  return kind && `/api/results/${result.result_id}/images/${kind}?thumbnail=true`;
}

function nameOf(result) {
  return `${partOf(result)}, ${t(`common.verdict.${result.verdict}`)}, ${dateTime(result.published_utc_ms)}`;
}
