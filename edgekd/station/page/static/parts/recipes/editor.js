// The fields of a recipe: to be read, and of a draft to be changed. Only what was changed is sent.

import {send} from "../../lib/api.js";
import {has, t} from "../../lib/texts.js";
import {Button, Check, Field, Select, attempt} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {pathOf} from "./common.js";
import {groupsOf, meant, nested, shown, valueAt} from "./fields.js";

/** @param {{facts: object, onSaved: () => void}} props */
export function Editor({facts, onSaved}) {
  const {recipe} = facts;
  const groups = groupsOf(recipe);
  const [texts, setTexts] = useState({}); // Of fields that were touched, by their paths.
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const fields = groups.flatMap((group) => group.fields);
  const {changes, problems} = read(recipe, fields, texts);
  const count = Object.keys(changes).length;
  async function save(event) {
    event.preventDefault();
    setBusy(true);
    const seen = Object.fromEntries(Object.keys(changes).map((path) => [path, valueAt(recipe, path)]));
    const body = {fields: nested(changes), shown: nested(seen), reason: reason.trim()};
    if (await attempt(() => put(facts, body, onSaved), t("recipes.saved"))) {
      setTexts({});
      setReason("");
      onSaved();
    }
    setBusy(false);
  }
  const readOnly = facts.status !== "draft";
  return html`<form class="stack" onSubmit=${save} aria-label=${t("recipes.fields")}>
    ${readOnly && html`<p class="muted">${t("recipes.never_changes")}</p>`}
    ${groups.map((group) => html`<fieldset class="card recipe-group" key=${`${group.id}${group.name ?? ""}`} disabled=${readOnly}>
      <legend>${t(`recipes.group.${group.id}`, {name: group.name})}</legend>
      ${group.fields.map((field) => html`<${One} key=${field.path} field=${field} problem=${problems[field.path]}
        text=${texts[field.path] ?? shown(valueAt(recipe, field.path), field.kind)}
        onText=${(text) => setTexts({...texts, [field.path]: text})} />`)}
    </fieldset>`)}
    ${Object.keys(texts).length > 0 && html`<div class="card recipe-save">
      <${Field} label=${t("recipes.why_changed")} maxlength="500" value=${reason} onInput=${setReason} />
      <div class="row">
        <span class="muted grow" aria-live="polite">${t("recipes.changes", {count})}</span>
        <${Button} onClick=${() => setTexts({})}>${t("recipes.undo")}<//>
        <${Button} type="submit" kind="primary" busy=${busy} disabled=${!count || Object.keys(problems).length > 0}>
          ${t("common.save")}<//>
      </div></div>`}
  </form>`;
}

/** Changes a draft; where that is refused, somebody else may have changed it meanwhile, and it is loaded anew. */
export async function put(row, body, onRefused) {
  try {
    return await send("PUT", pathOf(row), body);
  } catch (error) {
    if (error.status === 409) onRefused();
    throw error;
  }
}

/** What was changed, and what is wrong, by the paths of fields. */
function read(recipe, fields, texts) {
  const changes = {}, problems = {};
  for (const field of fields.filter(({path}) => path in texts)) {
    try {
      const value = meant(texts[field.path], field);
      if (JSON.stringify(value) !== JSON.stringify(valueAt(recipe, field.path))) changes[field.path] = value;
    } catch (error) {
      problems[field.path] = t(`recipes.wrong.${error.message}`);
    }
  }
  return {changes, problems};
}

function One({field, text, problem, onText}) {
  const key = field.label ?? field.path;
  const name = t(`recipes.field.${key}`);
  const label = field.unit ? `${name} (${field.unit})` : name;
  const hint = `recipes.hint.${key}`;
  const shared = {label, hint: has(hint) ? t(hint) : undefined, problem};
  if (field.kind === "check") return html`<${Check} label=${label} checked=${text} onChange=${onText} />`;
  if (field.kind === "checks") return html`<${Checks} label=${label} hint=${shared.hint} options=${field.options} chosen=${text} onChange=${onText} />`;
  if (field.kind === "select") {
    const options = field.options.map((value) => ({value, label: t(`recipes.option.${value}`)}));
    return html`<${Select} ...${shared} options=${options} value=${text} onChange=${onText} />`;
  }
  const numeric = ["number", "integer", "percent"].includes(field.kind);
  return html`<${Field} ...${shared} value=${text} onInput=${onText} multiline=${field.kind === "parts"}
    inputmode=${numeric ? "decimal" : undefined} maxlength="2000" autocomplete="off" />`;
}

/** Several of some names. */
function Checks({label, hint, options, chosen, onChange}) {
  const toggle = (name) => (on) => onChange(options.filter((each) => (each === name ? on : chosen.includes(each))));
  return html`<div class="field across" role="group" aria-label=${label}>
    <span class="label">${label}</span>
    ${hint && html`<span class="hint">${hint}</span>`}
    <div class="recipe-checks">${options.map((name) => html`<${Check} key=${name} label=${t(`recipes.check.${name}`)}
      checked=${chosen.includes(name)} onChange=${toggle(name)} />`)}</div>
  </div>`;
}
