// The audit trail: who changed what, from what to what and why, and whether nothing of it was changed since.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {get} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Button, Dialog, Notice, Table} from "../../lib/ui.js";
import {withQuery} from "./loaded.js";
import {shortTime} from "./times.js";

const PAGE = 100;

export default function Audit() {
  const [trail, setTrail] = useState({entries: [], next: null, found: null, problem: "", busy: true});
  const [opened, open] = useState(null);
  async function load(before) {
    setTrail((old) => ({...old, busy: true}));
    try {
      const found = await get(withQuery("/api/audit", {limit: PAGE, before_id: before}));
      setTrail((old) => ({entries: before ? [...old.entries, ...found.entries] : found.entries,
                          next: found.next_before_id, found, problem: "", busy: false}));
    } catch (error) {
      setTrail((old) => ({...old, problem: error.text ?? String(error), busy: false}));
    }
  }
  useEffect(() => void load(null), []);
  const {entries, next, found, problem, busy} = trail;
  return html`<div class="stack">
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    ${found && html`<${Chain} found=${found} />`}
    <div class="row end no-print"><${Button} onClick=${() => print()}>${t("record.print")}<//></div>
    <${Table} caption=${t("record.tab.audit")} columns=${columns()} rows=${entries} rowKey=${(row) => row.id} onRow=${open}
      empty=${busy ? t("common.loading") : t("record.nothing")} />
    ${next && html`<div class="row no-print"><${Button} busy=${busy} onClick=${() => load(next)}>${t("record.more")}<//></div>`}
    ${opened && html`<${Entry} entry=${opened} onClose=${() => open(null)} />`}
  </div>`;
}

function Chain({found}) {
  if (!found.whole) return html`<${Notice} tone="ng" alert>${t("record.audit.broken", {where: found.broken})}<//>`;
  return html`<${Notice} tone="ok"><div><p>${t("record.audit.whole", {count: found.count})}</p>
    <p class="small muted">${t("record.audit.head")} <code class="hash">${found.head}</code></p></div><//>`;
}

function columns() {
  const line = (text) => html`<span class="one-line">${text}</span>`;
  const who = (row) => [row.who, row.role && `(${roleOf(row.role)})`].filter(Boolean).join(" ");
  const change = (row) => (row.old || row.new ? `${short(row.old)} → ${short(row.new)}` : "");
  return [
    {key: "id", label: t("record.audit.id"), numeric: true},
    {key: "time", label: t("record.column.time"), render: (row) => line(shortTime(row.time_ms))},
    {key: "who", label: t("record.audit.who"), render: (row) => line(who(row))},
    {key: "action", label: t("record.audit.action"), render: (row) => line(row.action)},
    {key: "subject", label: t("record.audit.subject")},
    {key: "change", label: t("record.audit.change"), render: (row) => html`<span class="change">${change(row)}</span>`},
    {key: "why", label: t("record.audit.why"), render: (row) => html`<span class="written">${row.why}</span>`},
  ];
}

function Entry({entry, onClose}) {
  const rows = [
    [t("record.column.time"), `${dateTime(entry.time_ms)} (${entry.local_time})`],
    [t("record.audit.who"), `${entry.who} (${roleOf(entry.role) || "–"})`],
    [t("record.audit.address"), entry.address || "–"],
    [t("record.audit.action"), entry.action],
    [t("record.audit.subject"), entry.subject || "–"],
    [t("record.audit.old"), html`<code class="value">${entry.old || "–"}</code>`],
    [t("record.audit.new"), html`<code class="value">${entry.new || "–"}</code>`],
    [t("record.audit.why"), entry.why || "–"],
    [t("record.audit.hash"), html`<code class="hash">${entry.hash}</code>`],
  ];
  return html`<${Dialog} wide title=${t("record.audit.entry", {id: String(entry.id)})} onClose=${onClose}>
    <dl class="pairs">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl><//>`;
}

function roleOf(role) {
  return ["operator", "supervisor", "engineer", "admin"].includes(role) ? t(`common.role.${role}`) : role;
}

function short(text) {
  if (!text) return "–";
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
