// What is wrong with an image, in a word and in a sentence.

import {has, t} from "../../lib/texts.js";
import {Badge, Notice} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";

/** A hint in the reader's language; the station's own words where there is no text for it. */
function textOf(hint, form) {
  const key = `teach.hint${form}.${hint.code}`;
  return has(key) ? t(key, {of: String(hint.of)}) : hint.text;
}

/** @param {{hints: {code: string, text: string, of?: number}[]}} props */
export function Hints({hints}) {
  return hints.map((hint) => html`<${Notice} key=${hint.code} tone="error">${textOf(hint, "")}<//>`);
}

/** The same in a word each, for small images. */
export function HintBadges({hints}) {
  return hints.map((hint) => html`<${Badge} key=${hint.code} tone="error">${textOf(hint, "_word")}<//>`);
}
