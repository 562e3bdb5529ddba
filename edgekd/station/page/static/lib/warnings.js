// What must be known of a detector before relying on it, in the reader's language.

import {has, locale, number, percent, t} from "./texts.js";

const share = (value) => percent(value, value < 0.1 ? 1 : 0);
const score = (value) => (Number.isFinite(value)
  ? value.toLocaleString(locale, {maximumSignificantDigits: 4, useGrouping: false}) : "–");
const FORMS = {bound: share, bound_then: share, held_out: score, trained: score, images: named,
               auroc: (value) => number(value, 2), student: (value) => number(value, 3),
               ceiling: (value) => number(value, 3)};

/**
 * A warning as a sentence: made from its figures, else as the station says it.
 * @param {{code: string, text: string}} warning
 */
export function warningText(warning) {
  const key = `common.warning.${warning.code}`;
  if (!has(key)) return sentence(warning.text);
  const inWords = (name, value) => (Object.hasOwn(FORMS, name) ? FORMS[name](value, warning) : value);
  return t(key, Object.fromEntries(Object.entries(warning).map(([name, value]) => [name, inWords(name, value)])));
}

/** The first of some images with their scores, and how many more there are. */
function named(images, {more}) {
  if (!Array.isArray(images)) return "–";
  const first = images.map(({name, score: reached}) => `${name} (${score(reached)})`).join(", ");
  return more ? `${first} ${t("common.and_more", {count: more})}` : first;
}

/** What the station says in its own words, as a sentence. */
function sentence(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
