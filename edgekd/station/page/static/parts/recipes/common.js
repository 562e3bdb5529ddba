// What the recipe tabs have in common: paths, the choice of a revision, and how its status is shown.

import {dateTime, has, locale, t} from "../../lib/texts.js";
import {Badge} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";

/** The path of a revision in the API, and of what is below it. */
export const pathOf = ({id, revision}, ...rest) => ["/api/recipes", id, revision, ...rest].join("/");

/** The name of a revision, such as "bolt 3". */
export const nameOf = ({id, revision}) => `${id} ${revision}`;

/** The revision that the page's address names; else that which the station judges by, else one in use, else any. */
export function chosenOf(rows, place, loaded) {
  const named = rows.find((row) => row.id === place.recipe && String(row.revision) === place.revision);
  const judging = rows.find((row) => row.id === loaded?.recipe && row.revision === loaded.revision);
  return named ?? judging ?? rows.find((row) => row.in_use) ?? rows[0];
}

/** Where a revision is in its life: draft, released and in use, or retired. */
export function Status({row}) {
  const tone = row.problem ? "ng" : row.status === "draft" ? "accent" : row.in_use ? "ok" : "";
  return html`<${Badge} tone=${tone}>${t(`recipes.status.${row.status}`)}<//>`;
}

/** Names and values in two columns. @param {{facts: [string, any][]}} props Those without a value are left out. */
export function Facts({facts}) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`<dl class="recipe-facts">${known.map(([name, value]) => html`<div key=${name}>
    <dt>${name}</dt><dd class="number">${value}</dd></div>`)}</dl>`;
}

/** A score with as many digits as tell scores apart. */
export function score(value) {
  return Number.isFinite(value) ? value.toLocaleString(locale, {maximumSignificantDigits: 4, useGrouping: false}) : "–";
}

/** A number as people write it, with a point or a comma; NaN where it is none. */
export function numberIn(text) {
  return text.trim() === "" ? NaN : Number(text.trim().replace(",", "."));
}

/** A time as recipes hold it. */
export function when(at) {
  return at ? dateTime(Date.parse(at)) : "–";
}

/** Why a station would not run a recipe, in the reader's language. */
export function doubtText(doubt) {
  const key = `recipes.doubt.${doubt.code}`;
  return has(key) ? t(key, {...doubt, score: score(doubt.score)}) : doubt.text;
}

/** A field's value, whatever it is. */
export const inWords = (value) => (value === null || value === undefined ? "–"
  : typeof value === "object" ? JSON.stringify(value) : String(value));
