// Times along a chart, and as the browser's own field for them has them.

import {locale} from "../../lib/texts.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
               DAY, 2 * DAY, 7 * DAY, 14 * DAY];

/** Round times of this machine's clock between two, about so many. */
export function timeTicks(from, to, count) {
  const step = STEPS.find((each) => (to - from) / each <= count + 2) ?? STEPS[STEPS.length - 1];
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const found = [];
  for (let at = first; at <= to; at += step) found.push(at);
  return found;
}

/** How a time is written along a chart of so many milliseconds: the hour, or the day. */
export function timeFormat(span) {
  const wanted = span > 2 * DAY ? {day: "numeric", month: "short"} : {hour: "2-digit", minute: "2-digit", hourCycle: "h23"};
  return (utcMs) => new Date(utcMs).toLocaleString(locale, wanted);
}

/** Day and time of UTC milliseconds where there is little room. */
export function shortTime(utcMs) {
  const year = new Date(utcMs).getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  const wanted = {year, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
                  hourCycle: "h23"}; // With `hour12: false` an English midnight is 24:00 of the day that begins.
  return new Date(utcMs).toLocaleString(locale, wanted);
}

/** UTC milliseconds of what a field of the type datetime-local holds; null for none. */
export function fromField(text) {
  const found = text ? new Date(text).getTime() : NaN;
  return Number.isFinite(found) ? found : null;
}
