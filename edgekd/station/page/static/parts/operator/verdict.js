// The verdict of the last part, to be read at three metres: a colour, a shape and a word.

import {html} from "../../vendor/htm-preact.js";
import {VerdictShape} from "../../lib/ui.js";
import {t, time} from "../../lib/texts.js";
import {partOf, stateOf, whatOf} from "./wording.js";

const JUDGING = ["READY", "RUNNING"];
const STOPPED = ["FAULT", "BLOCKED"];
const WORKING = ["STARTING", "LOADING", "SELF_TEST"];

/**
 * What the tile shows. A verdict stands only while the station judges, is heard, and still has the recipe that judged:
 * an OK of a station that is silent or stopped would be believed.
 * @returns {{tone: string, shape: string, word: string, line: string, working: boolean, result: object|null}}
 */
export function faceOf(live, view) {
  const plain = {shape: "", line: "", working: false, result: null};
  if (live && !live.linked) return {...plain, tone: "silent", word: t("operator.no_link"), line: t("operator.no_link_line")};
  if (!view) return {...plain, tone: "idle", word: t("operator.connecting"), working: true};
  const state = view.state.state;
  if (STOPPED.includes(state)) return {...plain, tone: "stopped", shape: "ERROR", word: stateOf(state)};
  if (!JUDGING.includes(state)) return {...plain, tone: "idle", word: stateOf(state), working: WORKING.includes(state)};
  const last = view.last;
  if (!last || last.recipe_digest !== view.recipe.recipe_digest) {
    return {...plain, tone: "idle", word: stateOf("READY"), line: t("operator.first_part")};
  }
  return {tone: last.verdict.toLowerCase(), shape: last.verdict, word: t(`common.verdict.${last.verdict}`),
          line: reasonOf(last), working: false, result: last};
}

function reasonOf(result) {
  if (result.verdict === "ERROR") return whatOf(result.error_code, result.error_text);
  if (result.verdict === "NG" && result.uncertain) return t("operator.uncertain");
  return "";
}

/** The tile. @param {{live: object, view: object|undefined}} props */
export function Verdict({live, view}) {
  const face = faceOf(live, view);
  const {result} = face;
  const words = face.word.split(" ");
  const letters = Math.max(...words.map((word) => word.length));
  const simulated = view && live?.linked && (view.state.simulated || result?.simulated);
  return html`<section class=${`verdict ${face.tone} ${simulated ? "simulated" : ""}`} aria-label=${t("operator.last_part")}>
    <div class="verdict-top">
      <span>${result ? t("operator.last_part") : " "}</span>
      ${result?.self_test && html`<span class="verdict-flag">${t("operator.master_part")}</span>`}
      ${simulated && html`<span class="verdict-flag">${t("operator.simulated")}</span>`}
    </div>
    <div class="verdict-box">
      <div class="verdict-face" style=${{"--letters": letters, "--lines": words.length}}>
        ${face.working ? html`<span class="spinner" aria-hidden="true"></span>`
          : html`<${VerdictShape} verdict=${face.shape} />`}
        <p class="verdict-word" role="status" aria-live="polite" aria-atomic="true">
          ${words.map((word) => html`<span key=${word}>${word} </span>`)}
          ${result && html`<span class="hidden-text">${t("operator.part")} ${partOf(result)}</span>`}
        </p>
      </div>
    </div>
    <div class="verdict-line">
      ${result && html`<span class="number">${t("operator.part")} ${partOf(result)}</span>
        <span class="number">${time(result.published_utc_ms)}</span>`}
      ${face.line && html`<strong>${face.line}</strong>`}
    </div>
    ${view?.busy && live.linked && html`<div class="verdict-busy" aria-hidden="true"></div>`}
  </section>`;
}
