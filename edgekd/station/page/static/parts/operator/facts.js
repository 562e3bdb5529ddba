// What is being made: product, recipe, job, lot and part, with the way to another recipe.

import {html, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {moment, number, percent, t} from "../../lib/texts.js";
import {Button, Dialog, attempt, useMay} from "../../lib/ui.js";

/** @param {{view: object, onChangeOver: () => void}} props */
export function Facts({view, onChangeOver}) {
  const {recipe, last} = view;
  const facts = [
    ["product", recipe.job ? recipe.product || recipe.recipe : "–"],
    ["recipe", recipe.job ? `${recipe.recipe} · ${recipe.revision}` : "–"],
    ["job", recipe.job || "–"],
    ["lot", last?.lot || view.lot?.lot || "–"],
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
  const since = view.counters.since_utc_ms;
  return html`<section class="counts card" aria-label=${t("operator.counts")}>
    <${Figures} title=${since ? t("operator.since", {time: moment(since)}) : t("operator.in_all")} counted=${view.counters} large
      aside=${supervisor && html`<${Button} onClick=${() => setAsking(true)}>${t("operator.reset")}<//>`} />
    <${YieldBar} counted=${view.counters} />
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
  const figures = [
    ["total", number(total), ""],
    ["ok", number(ok), "ok"],
    ["ng", number(ng), "ng"],
    ["error", number(error), "error"],
    ["yield", percent(share(ok)), ""],
    ["rejects", percent(share(ng + error)), ""],
  ];
  return html`<div class=${`figures ${large ? "large" : ""}`}>
    <div class="figures-title"><h2>${title}</h2>${aside}</div>
    <dl>${figures.map(([name, value, tone]) => html`<div key=${name} class=${tone}>
      <dt>${t(`operator.count.${name}`)}</dt><dd class="number">${value}</dd></div>`)}</dl>
  </div>`;
}

/** How many of each verdict, as a bar; decoration beside the figures. */
function YieldBar({counted}) {
  return html`<div class="yield-bar" aria-hidden="true">${["ok", "ng", "error"].map((name) => counted[name] > 0 &&
    html`<span key=${name} class=${name} style=${{flexGrow: counted[name]}}></span>`)}</div>`;
}
