// One revision: what it is, what may be done with it, its fields, its view, its detector.

import {useLoaded} from "../record/loaded.js";
import {send} from "../../lib/api.js";
import {number, t} from "../../lib/texts.js";
import {Badge, Button, Notice, attempt} from "../../lib/ui.js";
import {warningText} from "../../lib/warnings.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Actions} from "./actions.js";
import {Facts, Status, doubtText, nameOf, pathOf, score, when} from "./common.js";
import {Comparing} from "./comparing.js";
import {Editor} from "./editor.js";
import {ViewImage} from "./view_image.js";

/**
 * @param {{row: object, rows: object[], views: object[], onChanged: () => void, onGo: (row: object) => void,
 *   go: (some: object) => void}} props `onGo` opens another revision, such as a draft that was just made.
 */
export function Revision({row, rows, views, onChanged, onGo, go}) {
  const {data: facts, problem, reload} = useLoaded(pathOf(row));
  const [comparing, setComparing] = useState(false);
  const changed = () => (reload(), onChanged());
  if (problem) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!facts) return html`<p class="empty">${t("common.loading")}</p>`;
  const judging = views.filter(({recipe}) => recipe?.recipe === row.id && recipe.revision === row.revision);
  return html`<section class="stack" aria-label=${nameOf(row)}>
    <div class="row between">
      <h2 class="row">${nameOf(row)} <${Status} row=${facts} />
        ${judging.map((view) => html`<${Badge} key=${view.station} tone="ok">
          ${t("recipes.judges_at", {station: view.station})}<//>`)}</h2>
      <div class="row">
        ${rows.filter(({id}) => id === row.id).length > 1 && html`<${Button} onClick=${() => setComparing(true)}>
          ${t("recipes.compare")}<//>`}
        ${facts.threshold && html`<${Button} onClick=${() => go({tab: "threshold", recipe: row.id, revision: row.revision})}>
          ${t("recipes.tab.threshold")}<//>`}
        <${Actions} facts=${facts} rows=${rows} views=${views} onChanged=${changed} onDeleted=${onChanged} onGo=${onGo} />
      </div>
    </div>
    ${facts.problem && html`<${Notice} tone="ng">${facts.problem}<//>`}
    ${facts.doubts.map((doubt) => html`<${Notice} key=${doubt.text} tone="error">${doubtText(doubt)}<//>`)}
    ${facts.in_use && views.filter(({recipe}) => recipe?.recipe === row.id && recipe.revision !== row.revision)
      .map((view) => html`<${Behind} key=${view.station} view=${view} facts=${facts} />`)}
    <${History} facts=${facts} />
    ${facts.recipe && html`<div class="recipe-columns">
      <${Editor} key=${facts.digest || "draft"} facts=${facts} onSaved=${changed} />
      <div class="stack">
        <${ViewImage} row=${row} facts=${facts} />
        <${Detector} facts=${facts} />
        <${Checks} checks=${facts.image_checks ?? []} />
      </div></div>`}
    ${comparing && html`<${Comparing} row=${row} rows=${rows} onClose=${() => setComparing(false)} />`}
  </section>`;
}

/** A station that still judges by another revision than the one in use, as after a release while it runs. */
function Behind({view, facts}) {
  const [busy, setBusy] = useState(false);
  async function change() {
    setBusy(true);
    await attempt(() => send("POST", `/api/stations/${view.station}/job`, {job: facts.job}),
                  t("recipes.changes_over", {station: view.station}));
    setBusy(false);
  }
  return html`<${Notice} tone="accent"><span class="grow">${t("recipes.behind", {station: view.station,
      name: nameOf({id: view.recipe.recipe, revision: view.recipe.revision})})}</span>
    <${Button} icon="swap" busy=${busy} onClick=${change}>${t("recipes.change_over_now")}<//><//>`;
}

/** Who released and who retired it. */
function History({facts}) {
  const {retired} = facts;
  const released = facts.released_by
    && t("recipes.was_released", {who: facts.released_by, when: when(facts.at), why: facts.reason});
  return html`<p class="muted">
    ${released || t("recipes.is_draft")}
    ${retired && ` ${t("recipes.was_retired", {who: retired.by || "–", when: when(retired.at), why: retired.reason})}`}
  </p>`;
}

function Detector({facts}) {
  const {detector, threshold, references} = facts;
  if (!detector) return null;
  return html`<section class="card stack">
    <h2>${t("recipes.detector")}</h2>
    <${Facts} facts=${[
      [t("recipes.fact.artifact"), detector.artifact],
      [t("recipes.fact.system"), `${detector.system} · ${detector.precision}${detector.engine && ` · ${detector.engine}`}`],
      [t("recipes.fact.teachers"), detector.teachers.join(", ")],
      [t("recipes.fact.size"), `${detector.width} × ${detector.height}`],
      [t("recipes.fact.work"), `${number(detector.macs / 1e9, 2)} GMAC`],
      [t("recipes.fact.trained"), detector.trained_images && t("recipes.fact.trained_value", {
        trained: detector.trained_images, held_out: detector.held_out_images ?? 0})],
      [t("recipes.fact.threshold"), threshold && `${score(threshold.value)} (${threshold.origin || "–"})`],
      [t("recipes.fact.signed"), detector.signed ? t("recipes.yes") : t("recipes.no")],
      [t("recipes.fact.references"), t("recipes.fact.references_value", {
        ok: references.filter((each) => each.verdict === "OK").length,
        ng: references.filter((each) => each.verdict === "NG").length})],
      [t("recipes.fact.digest"), facts.digest && html`<code title=${facts.digest}>${facts.digest.slice(0, 16)}…</code>`],
    ]} />
    ${threshold?.warnings.map((each) => html`<${Notice} key=${each.text} tone="error">${warningText(each)}<//>`)}
  </section>`;
}

function Checks({checks}) {
  if (!checks.length) return null;
  const inWords = (limits) => Object.entries(limits).filter(([name]) => !name.startsWith("good"))
    .map(([name, value]) => `${t(`recipes.check_limit.${name}`)} ${[...new Set([value].flat().map(score))].join("–")}`).join(", ");
  return html`<section class="card">
    <h2>${t("recipes.checks")}</h2>
    <${Facts} facts=${checks.map((check) => [t(`recipes.check.${check.name}`),
      check.on ? inWords(check.limits) || t("recipes.on") : t(check.ignored ? "recipes.ignored" : "recipes.off")])} />
  </section>`;
}
