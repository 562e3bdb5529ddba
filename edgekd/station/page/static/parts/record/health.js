// How the machine is: disk, memory, processor, temperature, power, connections, what was lost, versions.

import {html} from "../../vendor/htm-preact.js";
import {number, percent, t} from "../../lib/texts.js";
import {Icon, Notice} from "../../lib/ui.js";
import {linkOf, whatOf} from "../operator/wording.js";
import {useLoaded} from "./loaded.js";

const EVERY_MS = 5000;
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number of bytes in words. */
export function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${number(count / 1000 ** power, power && count / 1000 ** power < 10 ? 1 : 0)} ${UNITS[power]}`;
}

export default function Health({station}) {
  const {data, problem} = useLoaded("/api/health", EVERY_MS);
  if (problem && !data) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!data) return html`<p class="empty">${t("common.loading")}</p>`;
  return html`<div class="stack">
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    <div class="health">
      <${Disk} disk=${data.disk} />
      <${Processor} cpu=${data.cpu} memory=${data.memory} />
      <${Temperature} temperature=${data.temperature} power=${data.power} />
      <${Links} links=${data.links[station] ?? {}} />
      <${Lost} lost=${data.dropped_frames} station=${station} />
      <${Versions} versions=${data.versions} />
    </div>
  </div>`;
}

function Disk({disk}) {
  return html`<${Card} title=${t("record.health.disk")}>
    <${Meter} label=${t("record.health.used")} share=${1 - disk.free_share} high=${0.85}
      text=${t("record.health.free_of", {free: bytes(disk.free), total: bytes(disk.total)})} />
    <${Pairs} pairs=${[[t("record.health.images"), `${number(disk.images)} · ${bytes(disk.image_bytes)}`],
                       [t("record.health.record"), bytes(disk.record_bytes)]]} /><//>`;
}

function Processor({cpu, memory}) {
  return html`<${Card} title=${t("record.health.machine")}>
    <${Meter} label=${t("record.health.cpu")} share=${cpu.used_share} high=${0.9} text=${percent(cpu.used_share, 0)} />
    ${memory && html`<${Meter} label=${t("record.health.memory")} share=${memory.used_share} high=${0.9}
      text=${t("record.health.free_of", {free: bytes(memory.available), total: bytes(memory.total)})} />`}
    <${Pairs} pairs=${[[t("record.health.load"), (cpu.load ?? []).map((value) => number(value, 1)).join(" · ") || "–"],
                       [t("record.health.cores"), number(cpu.cores)]]} /><//>`;
}

function Temperature({temperature, power}) {
  const zones = Object.entries(temperature.zones).map(([name, celsius]) => [name, `${number(celsius, 0)} °C`]);
  const throttled = Object.entries(power.throttled).filter(([, count]) => count > 0);
  return html`<${Card} title=${t("record.health.temperature")}>
    ${temperature.hot.length > 0 && html`<${Notice} tone="error">${t("record.health.hot", {parts: temperature.hot.join(", ")})}<//>`}
    ${throttled.length > 0 && html`<${Notice} tone="error">${t("record.health.throttled",
      {causes: throttled.map(([name, count]) => `${name} (${count})`).join(", ")})}<//>`}
    ${temperature.highest !== null && html`<p class="large number">${number(temperature.highest, 0)} °C</p>`}
    <${Pairs} pairs=${[...(zones.length ? zones : [[t("record.health.celsius"), t("record.health.not_measured")]]),
      [t("record.health.power"), power.watts === null ? t("record.health.not_measured") : `${number(power.watts, 1)} W`],
      ...(power.source ? [[t("record.health.measured_by"), power.source]] : []),
      ...(power.mode ? [[t("record.health.mode"), power.mode]] : [])]} /><//>`;
}

function Links({links}) {
  const named = Object.entries(links);
  return html`<${Card} title=${t("record.health.links")}>
    ${!named.length && html`<p class="muted">${t("record.health.no_links")}</p>`}
    <ul class="link-list">${named.map(([name, up]) => html`<li key=${name} class=${up ? "up" : "down"}>
      <${Icon} name=${up ? "tick" : "cross"} /><span>${linkOf(name)}</span>
      <span class="small">${t(up ? "record.health.up" : "record.health.down")}</span></li>`)}</ul><//>`;
}

function Lost({lost, station}) {
  const rows = Object.entries(lost.stations[station] ?? {});
  return html`<${Card} title=${t("record.health.lost", {hours: lost.hours})}>
    ${!rows.length && html`<p class="all-well"><${Icon} name="tick" />${t("record.health.none_lost")}</p>`}
    <${Pairs} pairs=${rows.map(([code, count]) => [`${whatOf(code, lost.texts[code])}`, number(count)])} /><//>`;
}

function Versions({versions}) {
  const name = (key) => ({machine: t("record.health.machine"), system: t("record.health.system")})[key] ?? key;
  return html`<${Card} title=${t("record.health.versions")}>
    <${Pairs} pairs=${Object.entries(versions).map(([key, value]) => [name(key), value])} /><//>`;
}

function Card({title, children}) {
  return html`<section class="card stack"><h2>${title}</h2>${children}</section>`;
}

function Meter({label, share, high, text}) {
  const known = Number.isFinite(share);
  return html`<div class="meter"><div class="row between small"><span>${label}</span><span class="number">${text}</span></div>
    ${known && html`<div class=${`meter-box ${share > high ? "high" : ""}`} role="meter" aria-label=${label} aria-valuemin="0"
      aria-valuemax="100" aria-valuenow=${Math.round(100 * share)}><div style=${{width: `${100 * share}%`}} /></div>`}</div>`;
}

function Pairs({pairs}) {
  return html`<dl class="pairs">${pairs.map(([name, value]) => html`<div key=${name}><dt>${name}</dt>
    <dd class="number">${value}</dd></div>`)}</dl>`;
}
