// What came of the long work and of its steps, in the reader's language.

import {percent, t} from "../../lib/texts.js";

const OUTCOMES = {
  images: ({count}) => t("teach.outcome.images", {count}),
  training: (figures) => t("teach.outcome.training", figures),
  float: promiseOf,
  int8: promiseOf,
  drift: ({noise}) => t("teach.outcome.drift", {noise: percent(noise)}),
  tries: (figures) => ["golden", "defect"].filter((label) => figures[label])
    .map((label) => t(`teach.tried.${label}`, figures[label])).join("; "),
};

/**
 * What came of a step: made from its figures, else as the station says it; "" where nothing came of it yet.
 * @param {{name: string, text: string, figures: object}} step
 */
export function outcomeOf({name, text, figures}) {
  return (Object.keys(figures).length > 0 && OUTCOMES[name]?.(figures)) || text;
}

/** How the process ended before its time. @param {{code: string, number: number}} ending */
export function endingOf({code, number}) {
  return t(`teach.ending.${code}`, {number});
}

/** What a threshold promises; "" of one for which that was not counted. */
export function promiseOf({false_reject_rate: asked, expected, bound, above, good_images: count}) {
  if (typeof bound !== "number") return "";
  return t("teach.promise", {asked: percent(asked), expected: percent(expected), bound: percent(bound), above, count});
}
