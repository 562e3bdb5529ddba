// What is being made: product, recipe, job, lot and part, with the way to another recipe.

import {html, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {number, t} from "../../lib/texts.js";
import {Button, Dialog, attempt, useMay} from "../../lib/ui.js";
import {partOf} from "./wording.js";

/** @param {{view: object, onChangeOver: () => void}} props */
export function Facts({view, onChangeOver}) {
  const {recipe, last} = view;
  const facts = [
    ["product", recipe.job ? recipe.product || recipe.recipe : "–"],
    ["recipe", recipe.job ? `${recipe.recipe} · ${recipe.revision}` : "–"],
    ["job", recipe.job || "–"],
    ["lot", last?.lot || view.lot?.lot || "–"],
    ["part", last ? partOf(last) : "–"],
  ];
  return html`<section class="facts card" aria-label=${t("operator.facts")}>
    <dl>${facts.map(([name, value]) => html`<div key=${name}>
      <dt class=${name === "product" ? "hidden-text" : ""}>${t(`operator.${name}`)}</dt><dd class="number">${value}</dd></div>`)}</dl>
    <${Button} icon="swap" class="big" onClick=${onChangeOver}>${t("operator.change_over")}<//>
  </section>`;
}

/** Parts since a moment: how many, and how many of them were good. */
export function Counts({view}) {
  const [asking, setAsking] = useState(false);
  const supervisor = useMay("supervisor");
  async function reset() {
    const done = () => send("POST", `/api/stations/${view.station}/counters/reset`);
    if (await attempt(done, t("operator.counters_reset"))) setAsking(false);
  }
  return html`<section class="counts card" aria-label=${t("operator.counts")}>
    <${Figures} title=${t("operator.since", {time: clock(view.counters.since_utc_ms)})} counted=${view.counters} large
      aside=${supervisor && html`<${Button} onClick=${() => setAsking(true)}>${t("operator.reset_counters")}<//>`} />
    ${view.lot?.lot && html`<${Figures} title=${t("operator.lot_is", {lot: view.lot.lot})} counted=${view.lot} />`}
    ${asking && html`<${Dialog} title=${t("operator.reset_counters")} onClose=${() => setAsking(false)} footer=${html`
        <${Button} onClick=${() => setAsking(false)}>${t("common.cancel")}<//>
        <${Button} kind="danger" onClick=${reset}>${t("operator.reset_counters")}<//>`}>
      <p>${t("operator.reset_means")}</p><//>`}
  </section>`;
}

function Figures({title, counted, large = false, aside}) {
  const {total, ok, ng, error} = counted;
  const share = (value) => (total ? value / total : NaN);
  const figures = [["total", total, ""], ["ok", ok, "ok"], ["ng", ng, "ng"], ["error", error, "error"]];
  return html`<div class=${`figures ${large ? "large" : ""}`}>
    <div class="row between"><h2>${title}</h2>${aside}</div>
    <dl>
      ${figures.map(([name, value, tone]) => html`<div key=${name} class=${tone}>
        <dt>${t(`operator.count.${name}`)}</dt><dd class="number">${number(value)}</dd></div>`)}
      <div><dt>${t("operator.count.yield")}</dt><dd class="number">${rate(share(ok))}</dd></div>
      <div><dt>${t("operator.count.rejects")}</dt><dd class="number">${rate(share(ng + error))}</dd></div>
    </dl>
    ${large && html`<div class="yield-bar" aria-hidden="true">
      ${[["ok", ok], ["ng", ng], ["error", error]].map(([tone, value]) => value > 0 &&
        html`<span key=${tone} class=${tone} style=${{flexGrow: value}}></span>`)}</div>`}
  </div>`;
}

function rate(share) {
  return Number.isFinite(share) ? `${number(100 * share, 1)}\u00a0%` : "–";
}

/** Day and time of UTC milliseconds, the day left out where it is today. */
function clock(utcMs) {
  const then = new Date(utcMs);
  const today = then.toDateString() === new Date().toDateString();
  const form = today ? {hour: "2-digit", minute: "2-digit"} : {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"};
  return then.toLocaleString(document.documentElement.lang, form);
}
