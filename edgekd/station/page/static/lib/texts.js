// Texts and numbers in the reader's language. One file a language; what a language lacks is shown in English.

import {sayNotReachedBy, translateErrorsBy} from "./api.js";

export const LANGUAGES = {en: "English", de: "Deutsch"};

/** The language shown: chosen on the page, else the browser's, else English. */
export const language = choose();

/** The language as this reader's country writes dates and numbers. */
export const locale = navigator.languages.find((each) => each.startsWith(language)) ?? language;

const texts = await load(language);
const fallback = language === "en" ? texts : await load("en");
const plurals = new Intl.PluralRules(language);

document.documentElement.lang = language;
sayNotReachedBy(() => t("common.not_reached"));
translateErrorsBy((error) => {
  const key = `users.error.${error?.key}`;
  return has(key) ? t(key, error.values) : undefined;
});

/**
 * A text by its key, such as "operator.lot". `{name}` in it stands for a value. A text of the form
 * {"one": "...", "other": "..."} is chosen by the value `count`.
 * @param {string} key
 * @param {Object<string, string|number>} [values]
 * @returns {string} The key itself where there is no such text.
 */
export function t(key, values = {}) {
  let text = find(texts, key) ?? find(fallback, key);
  if (text && typeof text === "object") text = text[plurals.select(values.count)] ?? text.other;
  if (typeof text !== "string") return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** A text as it stands in English, to hold against what the station says. */
export function english(key) {
  return find(fallback, key);
}

/** Whether there is such a text; for codes that may come from a newer station. */
export function has(key) {
  return find(texts, key) !== undefined || find(fallback, key) !== undefined;
}

/** Shows another language from now on. */
export function setLanguage(next) {
  localStorage.setItem("edgekd.language", next);
  location.reload();
}

/** A number with so many decimals; "–" where there is none. */
export function number(value, decimals) {
  if (!known(value)) return "–";
  const exactly = {minimumFractionDigits: decimals, maximumFractionDigits: decimals};
  return value.toLocaleString(locale, decimals === undefined ? {} : exactly);
}

/** A share of one as percent; "–" where there is none. */
export function percent(share, decimals = 1) {
  if (!known(share)) return "–";
  return share.toLocaleString(locale, {style: "percent", minimumFractionDigits: decimals, maximumFractionDigits: decimals});
}

/** The time of day of UTC milliseconds, on this machine's clock. */
export function time(utcMs) {
  return known(utcMs) ? new Date(utcMs).toLocaleTimeString(locale) : "–";
}

/** Day and time of UTC milliseconds, on this machine's clock. */
export function dateTime(utcMs) {
  return known(utcMs) ? new Date(utcMs).toLocaleString(locale, {dateStyle: "medium", timeStyle: "medium"}) : "–";
}

/** A moment as short as it can be told: the time of today, day and time of another day. */
export function moment(utcMs) {
  if (!known(utcMs)) return "–";
  const then = new Date(utcMs);
  const day = then.toDateString() === new Date().toDateString() ? {} : {day: "numeric", month: "short"};
  return then.toLocaleString(locale, {...day, hour: "2-digit", minute: "2-digit"});
}

/** A duration in words: "45 s", "12 min", "3 h 20 min", "2 d 4 h". */
export function duration(seconds) {
  if (!known(seconds)) return "–";
  if (Math.round(seconds) < 60) return `${number(Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${number(days)} d ${hours % 24} h` : `${number(days)} d`;
}

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function choose() {
  const wanted = [localStorage.getItem("edgekd.language"), ...navigator.languages];
  return wanted.map((each) => each?.slice(0, 2)).find((each) => each in LANGUAGES) ?? "en";
}

async function load(code) {
  const response = await fetch(new URL(`../texts/${code}.json`, import.meta.url));
  return response.ok ? response.json() : {};
}

function find(tree, key) {
  return key.split(".").reduce((branch, name) => branch?.[name], tree);
}
