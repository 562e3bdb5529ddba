// What may be done with a revision: revise, release, retire, bring back, delete. Each asks for a reason and tells what it does.

import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Check, Dialog, Field, Notice, attempt, toast, useSession} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {useLoaded} from "../record/loaded.js";
import {doubtText, inWords, nameOf, pathOf} from "./common.js";

const MOST_CHANGES = 12;

/**
 * @param {{facts: object, rows: object[], views: object[], onChanged: () => void, onDeleted: () => void,
 *   onGo: (row: object) => void}} props
 */
export function Actions({facts, rows, views, onChanged, onDeleted, onGo}) {
  const [asking, ask] = useState(null);
  const [busy, setBusy] = useState(false);
  async function revise() {
    setBusy(true);
    await attempt(async () => onGo(await send("POST", `/api/recipes/${facts.id}/revisions`, {from_revision: facts.revision})),
                  t("recipes.revised"));
    setBusy(false);
  }
  const draft = facts.status === "draft";
  return html`
    ${draft && html`<${Button} icon="bin" onClick=${() => ask("delete")}>${t("recipes.delete")}<//>`}
    ${facts.recipe && html`<${Button} icon="plus" busy=${busy} onClick=${revise}>${t("recipes.revise")}<//>`}
    ${facts.in_use && html`<${Button} icon="stop" onClick=${() => ask("retire")}>${t("recipes.retire")}<//>`}
    ${!draft && !facts.in_use && html`<${Button} icon="swap" kind="primary" onClick=${() => ask("bring_back")}>
      ${t("recipes.bring_back")}<//>`}
    ${draft && html`<${Button} icon="tick" kind="primary" disabled=${!facts.recipe} onClick=${() => ask("release")}>
      ${t("recipes.release")}<//>`}
    ${asking && html`<${Asking} what=${asking} facts=${facts} rows=${rows} views=${views} onClose=${() => ask(null)}
      onChanged=${asking === "delete" ? onDeleted : onChanged} onGo=${onGo} />`}`;
}

const DONE = {
  release: (facts, body) => send("POST", pathOf(facts, "release"), {...body, shown: facts.recipe}),
  retire: (facts, {reason}) => send("POST", pathOf(facts, "retire"), {reason}),
  bring_back: (facts, body) => send("POST", pathOf(facts, "bring-back"), body),
  delete: (facts) => send("DELETE", pathOf(facts)),
};

function Asking({what, facts, rows, views, onClose, onChanged, onGo}) {
  const {name} = useSession();
  const [reason, setReason] = useState("");
  const [changeOver, setChangeOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const judging = views.filter(({recipe}) => recipe?.recipe === facts.id).map((view) => view.station);
  const asksReason = what !== "delete";
  const offersChange = ["release", "bring_back"].includes(what) && judging.length > 0;
  async function act(event) {
    event.preventDefault();
    setBusy(true);
    const body = {reason: reason.trim(), change_over: changeOver};
    const done = await attempt(async () => {
      const answer = await DONE[what](facts, body).catch((error) => {
        if (error.status === 409) onChanged(); // Somebody else may have changed it meanwhile.
        throw error;
      });
      tellChangeOver(answer.changed_over ?? {});
      if (what === "bring_back") onGo(answer);
      else onChanged();
    }, t(`recipes.done.${what}`, {name: nameOf(facts)}));
    setBusy(false);
    if (done) onClose();
  }
  const before = rows.find((row) => row.id === facts.id && row.in_use);
  return html`<${Dialog} title=${t(`recipes.title.${what}`, {name: nameOf(facts)})} onClose=${onClose}>
    <form class="stack" onSubmit=${act}>
      <p>${t(`recipes.means.${what}`)}</p>
      ${what === "release" && facts.doubts.map((doubt) => html`<${Notice} key=${doubt.text} tone="error">${doubtText(doubt)}<//>`)}
      ${offersChanges(what, before) && html`<${Changes} key=${JSON.stringify(facts.recipe)} from=${before}
        to=${facts} />`}
      ${asksReason && html`<${Field} label=${t("common.reason")} hint=${t("recipes.reason_hint", {name})} required
        maxlength="500" value=${reason} onInput=${setReason} autofocus />`}
      ${offersChange && html`<${Check} checked=${changeOver} onChange=${setChangeOver}
        label=${t("recipes.change_over", {stations: judging.join(", ")})} />`}
      <footer>
        <${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} type="submit" kind=${what === "delete" || what === "retire" ? "danger" : "primary"} busy=${busy}
          disabled=${asksReason && !reason.trim()}>${t(`recipes.${what}`)}<//>
      </footer>
    </form><//>`;
}

const offersChanges = (what, before) => before && (what === "release" || what === "bring_back");

/** What would be another than in the revision in use: whoever signs sees what is signed. */
function Changes({from, to}) {
  const {data} = useLoaded(pathOf(from, "compare", to.revision));
  if (!data) return null;
  const changes = [...data.recipe, ...data.detector];
  const files = data.files.map((file) => file.name);
  if (!changes.length && !files.length) return html`<p>${t("recipes.same_as", {name: nameOf(from)})}</p>`;
  return html`<div class="stack recipe-changes"><p>${t("recipes.changed_from", {name: nameOf(from)})}</p>
    <ul>${changes.slice(0, MOST_CHANGES).map(({field, old, new: now}) => html`<li key=${field}>
      <code>${field}</code> ${inWords(old)} → <strong>${inWords(now)}</strong></li>`)}
      ${changes.length > MOST_CHANGES && html`<li>${t("recipes.more", {count: changes.length - MOST_CHANGES})}</li>`}
      ${files.length > 0 && html`<li>${t("recipes.other_files", {names: files.join(", ")})}</li>`}</ul></div>`;
}

function tellChangeOver(changedOver) {
  for (const [station, problem] of Object.entries(changedOver)) {
    if (problem) toast(`${station}: ${problem}`, "ng");
    else toast(t("recipes.changed_over", {station}), "ok");
  }
}
