// What is looked for in the record.

import {html} from "../../vendor/htm-preact.js";
import {t} from "../../lib/texts.js";
import {Button, Field, Segmented, Select} from "../../lib/ui.js";
import {fromField} from "./times.js";
import {RecipeChoice} from "./trends.js";

const VERDICTS = ["", "NG", "ERROR", "OK"];
const REVIEWED = ["", "none", "any", "good", "bad"];

/** What the server is asked for; a number that is none is left out. @param {object} wanted As the form holds it. */
export function queryOf(wanted) {
  const whole = (text) => (/^\d+$/.test(text ?? "") ? text : "");
  return {
    verdict: wanted.verdict,
    from: fromField(wanted.from),
    to: fromField(wanted.to),
    recipe: wanted.recipe,
    part: whole(wanted.part),
    serial: wanted.serial?.trim(),
    lot: wanted.lot?.trim(),
    error: whole(wanted.error),
    reviewed: wanted.reviewed,
  };
}

/** @param {{wanted: object, onChange: (wanted: object) => void}} props */
export function SearchForm({wanted, onChange}) {
  const set = (name) => (value) => onChange({...wanted, [name]: value});
  const text = (name, more = {}) => html`<${Field} label=${t(`record.search.${name}`)} name=${name} value=${wanted[name] ?? ""}
    onInput=${set(name)} maxlength="64" autocomplete="off" ...${more} />`;
  const digits = {inputmode: "numeric", pattern: "[0-9]*", maxlength: 10};
  const time = {type: "datetime-local", maxlength: undefined};
  return html`<form class="search card" role="search" onSubmit=${(event) => event.preventDefault()}>
    <div class="row between">
      <${Segmented} label=${t("record.column.verdict")} value=${wanted.verdict ?? ""} onChange=${set("verdict")}
        options=${VERDICTS.map((value) => ({value, label: value ? t(`common.verdict.${value}`) : t("record.all")}))} />
      <${Button} kind="quiet" onClick=${() => onChange({verdict: ""})}>${t("record.clear")}<//>
    </div>
    <div class="search-fields">
      ${text("from", time)}${text("to", time)}
      <${RecipeChoice} recipe=${wanted.recipe ?? ""} onChange=${set("recipe")} />
      <${Select} label=${t("record.column.review")} value=${wanted.reviewed ?? ""} onChange=${set("reviewed")}
        options=${REVIEWED.map((value) => ({value, label: t(`record.reviewed.${value || "all"}`)}))} />
      ${text("part", digits)}${text("serial")}${text("lot")}${text("error", {...digits, maxlength: 3})}
    </div>
  </form>`;
}
