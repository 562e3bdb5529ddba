// The last step: a draft of the recipe, what speaks against it, and the signature of whoever answers for it.

import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Check, Field, Icon, Notice, attempt, useSession} from "../../lib/ui.js";
import {warningText} from "../../lib/warnings.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Figures, lostIn} from "./check.js";
import {Title, Waiting} from "./common.js";
import {JobTaken} from "./projects.js";
import {act, pathOf, useAnswer} from "./server.js";
import {isReleased} from "./steps.js";
import {WorkLine, useWork} from "./work.js";

export function ReleaseStep({project, reload}) {
  const {value: result, problem, reload: again} = useAnswer(pathOf(project.name, "result"));
  const anew = () => Promise.all([again(), reload()]);
  const work = useWork(project, anew);
  const {draft} = project;
  if (!result) return html`<${Title} step="release" /><${Waiting} problem=${problem} />`;
  return html`
    <${Title} step="release" />
    <${Figures} result=${result} />
    <${WorkLine} work=${work} kinds=${["recipe"]} />
    ${!draft && html`<${Draft} project=${project} work=${work} />`}
    ${draft && !isReleased(project) && html`<${Sign} key=${draft.revision} project=${project}
      doubts=${doubtsOf(result)} work=${work} onReleased=${anew} />`}
    ${isReleased(project) && html`<${Released} project=${project} />`}
    <${Back} project=${project} />`;
}

function Draft({project, work}) {
  return html`<div class="card stack">
    <p>${t("teach.draft_about", project)}</p>
    <div><${Button} kind="primary" disabled=${work.running} onClick=${() => work.begin("recipe")}>
      ${t("teach.make_draft")}<//></div></div>`;
}

/** What a person must know before signing, a sentence each. */
function doubtsOf(result) {
  const {tried, threshold, drift, run} = result;
  const {flips} = lostIn(result);
  const {golden, golden_ok: right, defect, defect_ng: found} = tried;
  return [
    defect === 0 && t("teach.doubt.no_defects"),
    found < defect && t("teach.doubt.missed", {count: defect - found, of: defect}),
    golden === 0 && t("teach.doubt.no_golden"),
    right < golden && t("teach.doubt.golden", {count: golden - right, of: golden}),
    flips > 0 && t("teach.doubt.flips", {count: flips, of: drift.images}),
    run.below_ceiling && warningText(run.below_ceiling),
    ...(threshold ? threshold.warnings.map(warningText) : [t("teach.no_threshold")]),
  ].filter(Boolean);
}

/** Who signs, for what, and why. */
function Sign({project, doubts, work, onReleased}) {
  const session = useSession();
  const {draft} = project;
  const [reason, setReason] = useState("");
  const [seen, setSeen] = useState(false);
  const [busy, setBusy] = useState(false);
  async function release(event) {
    event.preventDefault();
    setBusy(true);
    const done = t("teach.released_now", nameOf(project));
    await attempt(() => act(project.name, "release", {reason: reason.trim(), revision: draft.revision}), done);
    setBusy(false);
    await onReleased();
  }
  return html`<form class="card stack" onSubmit=${release}>
    <div class="row between"><h2>${t("teach.sign_title", nameOf(project))}</h2>
      <${Button} kind="quiet" disabled=${work.running} onClick=${() => work.begin("recipe")}>
        ${t("teach.draft_again")}<//></div>
    <${JobTaken} job=${draft.job} recipe=${draft.id} />
    ${doubts.length > 0 && html`<${Notice} tone="error"><div class="stack">
      <strong>${t("teach.doubts")}</strong>
      <ul class="doubts">${doubts.map((each) => html`<li key=${each}>${each}</li>`)}</ul>
    </div><//>`}
    <p>${t("teach.sign_about", {...nameOf(project), job: draft.job, product: draft.product || draft.id})}</p>
    <${Field} label=${t("common.reason")} hint=${t("teach.reason_hint")} multiline required minlength="3"
      maxlength="500" value=${reason} onInput=${setReason} />
    <${Check} label=${t(doubts.length ? "teach.sign_with_doubts" : "teach.sign_clean")} required checked=${seen}
      onChange=${setSeen} />
    <div class="row between">
      <p class="signature"><${Icon} name="user" /> <strong>${session.name}</strong>
        <span class="muted">${t(`common.role.${session.role}`)}</span></p>
      <${Button} kind="primary" type="submit" icon="tick" busy=${busy} disabled=${!seen || reason.trim().length < 3}>
        ${t("teach.sign")}<//></div>
  </form>`;
}

const nameOf = ({draft}) => ({recipe: draft.id, revision: draft.revision});

function Released({project}) {
  const [busy, setBusy] = useState(false);
  const {value} = useAnswer("/api/state", 2000);
  const station = value?.stations.find((each) => each.station === project.station);
  const {recipe, revision} = nameOf(project);
  const {job} = project.draft;
  const judging = station?.recipe.recipe === recipe && station.recipe.revision === revision;
  const path = (action) => `/api/stations/${encodeURIComponent(project.station)}/${action}`;
  const change = async () => {
    setBusy(true);
    await attempt(() => send("POST", path("job"), {job}), t("teach.job_asked"));
    setBusy(false);
  };
  const online = () => attempt(() => send("POST", path("online"), {online: true}), t("teach.is_online"));
  return html`<div class="card stack released">
    <h2><span class="tone-ok"><${Icon} name="tick" /></span> ${t("teach.is_released", {recipe, revision})}</h2>
    <p>${t("teach.earlier_stay")}</p>
    ${judging ? html`<${Notice} tone="ok">${t("teach.judging", {station: project.station})}<//>` : html`
      <p class="muted">${t("teach.not_judging", {station: project.station, job})}</p>`}
    <div class="row">
      ${station && !station.online && html`<${Button} onClick=${online}>${t("teach.go_online")}<//>`}
      ${station && !judging && html`<${Button} kind="primary" icon="swap" busy=${busy} disabled=${!station.online}
        onClick=${change}>${t("teach.change_over", {job})}<//>`}
      <a class="button" href="/engineer#tab=recipes">${t("teach.to_recipes")}</a>
      <a class="button" href="/">${t("teach.to_line")}</a>
    </div></div>`;
}

function Back({project}) {
  return html`<footer class="next"><a class="button" href=${`#/${encodeURIComponent(project.name)}/check`}>
    <${Icon} name="left" />${t("common.back")}</a><span class="grow"></span></footer>`;
}
