// The last parts as a strip, each to be opened; NG and ERROR stay longer than OK.

import {html} from "../../vendor/htm-preact.js";
import {t, time} from "../../lib/texts.js";
import {VerdictShape, toneOf} from "../../lib/ui.js";
import {partOf} from "./wording.js";

const LONGEST = 7; // Letters that a part has room for.

/** @param {{results: object[], onOpen: (result: object) => void}} props */
export function Strip({results, onOpen}) {
  return html`<section class="strip card" aria-label=${t("operator.last_parts")}>
    ${!results.length && html`<p class="muted">${t("operator.no_parts")}</p>`}
    <ol>
      ${results.map((result) => html`<li key=${result.result_id}>
        <button type="button" class=${toneOf(result.verdict)} aria-label=${nameOf(result)} onClick=${() => onOpen(result)}>
          <${VerdictShape} verdict=${result.verdict} />
          <span class="number">${endOf(partOf(result))}</span>
        </button></li>`)}
    </ol>
  </section>`;
}

/** Serial numbers differ at their end. */
function endOf(name) {
  return name.length > LONGEST ? `…${name.slice(1 - LONGEST)}` : name;
}

function nameOf(result) {
  return `${t("operator.part")} ${partOf(result)}, ${t(`common.verdict.${result.verdict}`)}, ${time(result.published_utc_ms)}`;
}
