// A limit that is tried: what it would have changed, and how it becomes the recipe's.

import {send} from "../../lib/api.js";
import {number, percent, t} from "../../lib/texts.js";
import {Button, Dialog, Field, Notice, attempt, useSession} from "../../lib/ui.js";
import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {Facts, nameOf, numberIn, score} from "./common.js";
import {put} from "./editor.js";

/**
 * @param {{row: object, now: object, value: number, tried: object|undefined, failed: string|undefined, current: boolean,
 *   onValue: (value: number|null) => void, onSet: () => void, go: (some: object) => void}} props
 */
export function Try({row, now, value, tried, failed, current, onValue, onSet, go}) {
  const [text, setText] = useState(score(value));
  const [setting, setSetting] = useState(false);
  useEffect(() => setText(score(value)), [value]);
  const other = value !== now.value;
  const parsed = numberIn(text);
  const wrong = !Number.isFinite(parsed);
  const take = () => !wrong && text !== score(value) && onValue(parsed);
  const whenEnter = (event) => event.key === "Enter" && take();
  return html`<section class="card stack" aria-label=${t("recipes.try")}>
    <h2>${t("recipes.try")}</h2>
    <${Field} label=${t("recipes.limit")} hint=${t("recipes.try_hint")} inputmode="decimal" value=${text} onInput=${setText}
      onChange=${take} onKeyDown=${whenEnter} problem=${wrong ? t("recipes.wrong.number") : ""} />
    <div aria-live="polite">${tried && html`<${Outcome} tried=${tried} />`}
      ${failed && html`<${Notice} tone="ng">${failed}<//>`}</div>
    <div class="row">
      <${Button} disabled=${!other} onClick=${() => onValue(null)}>${t("recipes.back_to", {value: score(now.value)})}<//>
      <${Button} kind="primary" disabled=${!other || wrong || !current || !tried} onClick=${() => setSetting(true)}>${t("recipes.set_limit")}<//>
    </div>
    ${setting && html`<${Setting} row=${row} now=${now} value=${value} tried=${tried} onClose=${() => setSetting(false)}
      onSet=${onSet} go=${go} />`}
  </section>`;
}

function Outcome({tried}) {
  const {measured, promised} = tried;
  const of = (part, whole) => t("recipes.of", {part: number(part), whole: number(whole)});
  return html`<${Facts} facts=${[
    [t("recipes.outcome.ok_to_ng"), number(tried.ok_to_ng)],
    [t("recipes.outcome.ng_to_ok"), number(tried.ng_to_ok)],
    [t("recipes.outcome.above"), `${of(measured.above, measured.parts)}${
      measured.bound === null ? "" : ` (≤ ${percent(measured.bound)})`}`],
    [t("recipes.outcome.good"), measured.good ? of(measured.good_above, measured.good) : t("recipes.nobody_looked")],
    [t("recipes.outcome.bad"), measured.bad ? of(measured.bad_below, measured.bad) : t("recipes.nobody_looked")],
    [t("recipes.outcome.promised"), promised && `≤ ${percent(promised.bound)}`],
  ]} />`;
}

/** A released recipe never changes: its limit becomes that of a new draft, which is released like any other. */
function Setting({row, now, value, tried, onClose, onSet, go}) {
  const {name} = useSession();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const isDraft = row.status === "draft";
  async function set(event) {
    event.preventDefault();
    setBusy(true);
    const done = await attempt(async () => {
      const draft = isDraft ? row : await send("POST", `/api/recipes/${row.id}/revisions`, {from_revision: row.revision});
      const origin = t("recipes.origin", {who: name, day: new Date().toISOString().slice(0, 10),
        above: tried.measured.above, parts: tried.measured.parts});
      const fields = {detector: {threshold: value, threshold_origin: origin}};
      const shown = {detector: {threshold: now.set_by_recipe ? now.value : null}};
      await put(draft, {fields, shown, reason: reason.trim()}, onSet);
      if (isDraft) onSet();
      else go({tab: "recipes", recipe: draft.id, revision: draft.revision});
    }, t(isDraft ? "recipes.limit_set" : "recipes.limit_in_draft"));
    setBusy(false);
    if (done) onClose();
  }
  return html`<${Dialog} title=${t("recipes.set_limit")} onClose=${onClose}>
    <form class="stack" onSubmit=${set}>
      <p class="threshold-change number"><span>${score(now.value)}</span> → <strong>${score(value)}</strong></p>
      <p>${t(isDraft ? "recipes.set_means_draft" : "recipes.set_means", {name: nameOf(row)})}</p>
      <${Field} label=${t("common.reason")} maxlength="500" value=${reason} onInput=${setReason} required autofocus />
      <footer><${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} type="submit" kind="primary" busy=${busy} disabled=${!reason.trim()}>${t("common.save")}<//></footer>
    </form><//>`;
}
