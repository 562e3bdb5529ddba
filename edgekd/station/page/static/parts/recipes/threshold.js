// The threshold of a recipe: over the scores of the last parts, with what it promises, and what another would change.

import {send} from "../../lib/api.js";
import {Histogram} from "../../lib/charts.js";
import {number, percent, t} from "../../lib/texts.js";
import {Notice, Select} from "../../lib/ui.js";
import {warningText} from "../../lib/warnings.js";
import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {useLoaded} from "../record/loaded.js";
import {chosenOf, nameOf, pathOf, score} from "./common.js";
import {Limits} from "./limits.js";
import {Near} from "./near.js";
import {Try} from "./try.js";

const WAIT_MS = 250; // While a limit is moved, only the last place is asked for.

/** @param {{station: string, place: object, go: (some: object) => void}} props */
export default function Threshold({station, place, go}) {
  const {data: rows, problem} = useLoaded("/api/recipes");
  const {data: state} = useLoaded("/api/state");
  if (problem) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!rows || !state) return html`<p class="empty">${t("common.loading")}</p>`;
  if (!rows.length) return html`<p class="empty">${t("recipes.none")}</p>`;
  const loaded = state.stations.find((view) => view.station === station)?.recipe;
  const row = chosenOf(rows, place, loaded);
  const key = ({id, revision}) => `${id}/${revision}`;
  const options = rows.map((each) => ({value: key(each),
    label: `${nameOf(each)} · ${t(`recipes.status.${each.status}`)}${each.product && ` · ${each.product}`}`}));
  const choose = (value) => {
    const found = rows.find((each) => key(each) === value);
    go({recipe: found.id, revision: found.revision});
  };
  return html`<div class="stack">
    <div class="recipe-narrow"><${Select} label=${t("recipes.recipe")} options=${options} value=${key(row)} onChange=${choose} /></div>
    <${OfRevision} key=${key(row)} row=${row} go=${go} />
  </div>`;
}

function OfRevision({row, go}) {
  const {data, problem, reload} = useLoaded(pathOf(row, "threshold"));
  const [limit, setLimit] = useState(null); // That is tried; null for the recipe's own.
  const {tried, failed, current} = useTried(row, limit ?? data?.now.value, data);
  if (problem) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!data) return html`<p class="empty">${t("common.loading")}</p>`;
  const {now, table} = data;
  const value = limit ?? now.value;
  return html`
    <div class="threshold-columns">
      <section class="card stack">
        <h2>${t("recipes.scores", {count: data.scores.length})}</h2>
        <${Scores} data=${data} value=${limit} onPick=${setLimit} />
        <p class="muted small">${t("recipes.scores_about")}</p>
      </section>
      <${Try} row=${row} now=${now} value=${value} tried=${tried} failed=${failed} current=${current} onValue=${setLimit} go=${go}
        onSet=${reload} />
    </div>
    <${Promise} now=${now} promised=${data.promised} />
    <${Limits} table=${table} value=${value} onPick=${setLimit} />
    <${Near} near=${tried?.near ?? data.near} value=${value} onReviewed=${reload} />`;
}

/**
 * What a limit would have changed, asked for a moment after it was moved last, and again where `data` is loaded anew.
 * @returns {{tried: object|undefined, failed: string|undefined, current: boolean}} What the server answered last, or why
 *   it did not, and whether it is about this limit.
 */
function useTried(row, value, data) {
  const [answer, setAnswer] = useState({});
  useEffect(() => {
    if (value === undefined) return undefined;
    let ended = false;
    const timer = setTimeout(async () => {
      const body = {threshold: value, grey_zone: data.now.grey_zone};
      const asked = send("POST", pathOf(row, "threshold", "try"), body);
      const found = await asked.then((tried) => ({tried}), (error) => ({failed: error.text}));
      if (!ended) setAnswer({value, ...found});
    }, WAIT_MS);
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [value, data]);
  return {...answer, current: answer.value === value};
}

function Scores({data, value, onPick}) {
  const {edges, ok, ng} = data.histogram;
  const {now} = data;
  const marks = [{x: now.value, label: t("recipes.limit"), tone: "ng"}];
  if (now.median_good !== null) marks.push({x: now.median_good, label: t("recipes.typical"), dashed: true});
  if (value !== null && value !== now.value) marks.push({x: value, label: t("recipes.tried"), tone: "accent", dashed: true});
  const groups = [{name: t("recipes.were", {verdict: t("common.verdict.OK")}), tone: "ok", counts: ok},
                  {name: t("recipes.were", {verdict: t("common.verdict.NG")}), tone: "ng", counts: ng}];
  const good = data.good_scores?.quantiles;
  const at = (share) => good.find((pair) => pair[0] === share)?.[1];
  const band = good && {name: t("recipes.as_good"), tone: "accent", from: at(0.05), to: at(0.95)};
  return html`<${Histogram} label=${t("recipes.scores_label", {count: data.scores.length, limit: score(now.value)})}
    from=${edges[0]} to=${edges.at(-1)} groups=${groups} marks=${marks} xFormat=${score} onPick=${onPick} height=${340}
    band=${band && Number.isFinite(band.from) && Number.isFinite(band.to) ? band : undefined} />`;
}

/** What the threshold that judges promises, and from what. */
function Promise({now, promised}) {
  return html`<section class="card stack">
    <h2>${t("recipes.promise")}</h2>
    <p>${t(now.set_by_recipe ? "recipes.own_limit" : "recipes.artifact_limit", {value: score(now.value)})}
      ${" "}<span class="muted">${now.origin}</span></p>
    ${promised
      ? html`<p><strong>${t("recipes.promised", {above: number(promised.above), count: number(promised.good_images),
          bound: percent(promised.bound)})}</strong></p>`
      : html`<p class="muted">${t("recipes.not_promised")}</p>`}
    ${now.warnings.map((each) => html`<${Notice} key=${each.text} tone="error">${warningText(each)}<//>`)}
  </section>`;
}
