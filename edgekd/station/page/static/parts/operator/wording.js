// What a station's codes, states and links are called, and what somebody does about them.

import {english, has, t} from "../../lib/texts.js";

/** What happened and what to do, by an error code; "" for a code that this page does not know. */
export function sentenceOf(code) {
  const key = `operator.code.${code}`;
  return has(`${key}.what`) ? `${t(`${key}.what`)} ${t(`${key}.do`)}` : "";
}

/** What happened, by an error code, else as the station says it. */
export function whatOf(code, text) {
  return has(`operator.code.${code}.what`) ? t(`operator.code.${code}.what`) : text;
}

/**
 * What to do now: a sentence, and what the station says beyond it.
 * @param {object} view
 * @param {object|null} shown The result whose verdict stands on the page.
 * @returns {{sentence: string, detail: string}}
 */
export function adviceOf(view, shown) {
  const {code, text, key} = view.advice;
  const todo = `operator.todo.${key}`;
  if (code && has(todo)) return {sentence: t(todo), detail: ""};
  if (code) {
    const sentence = sentenceOf(code);
    return sentence ? {sentence, detail: detailOf(code, text)} : {sentence: text, detail: ""};
  }
  if (view.state.missed_trigger || view.state.overrun) return {sentence: t("operator.todo.MISSED"), detail: ""};
  return {sentence: (shown && afterPart(shown)) || (has(todo) ? t(todo) : text), detail: ""};
}

/** What follows from a part that is not OK; "" where nothing does. */
function afterPart(result) {
  if (result.verdict === "OK" || result.self_test) return "";
  if (result.verdict === "NG") return t("operator.todo.NG");
  const key = `operator.code.${result.error_code}.do`;
  return has(key) ? `${t("operator.todo.ERROR")} ${t(key)}` : t("operator.todo.ERROR");
}

/** What the station says of an alarm beyond the sentence of its code; "" where it says the same. */
export function detailOf(code, text) {
  const key = `operator.code.${code}`;
  return text === `${english(`${key}.what`)} ${english(`${key}.do`)}` ? "" : text;
}

/**
 * The self-test that a blocked station has to pass. Where the last one was passed, the other kind failed before it, such
 * as the master parts of a recipe that is loaded again.
 * @returns {"self-test"|"master-test"} As its path is called.
 */
export function failedTestOf({self_test: {last}}) {
  return last && (last.kind === "master") !== last.passed ? "master-test" : "self-test";
}

/** A state in a word. */
export function stateOf(state) {
  const key = `operator.state.${state}`;
  return has(key) ? t(key) : state;
}

/** A counterpart of the station, such as "camera top", in words. */
export function linkOf(name) {
  const [kind, ...rest] = name.split(" ");
  if (rest[0] === "adapter") return t("operator.link.adapter", {name: kind});
  const key = `operator.link.${kind}`;
  return has(key) ? [t(key), ...rest].join(" ") : name;
}

/** A part as people name it: its number, its serial number, else the number of its result. */
export function partOf(result) {
  if (result.serial) return result.serial;
  return String(result.part_id || result.result_id);
}
