// The image of the last part, large, with its heat map on a button.

import {html, useState} from "../../vendor/htm-preact.js";
import {t} from "../../lib/texts.js";
import {Button} from "../../lib/ui.js";
import {PartImage} from "./images.js";
import {partOf} from "./wording.js";

const REMEMBERED = "edgekd.heat-map";

/** @param {{result: object|null, onOpen: () => void}} props */
export function LiveImage({result, onOpen}) {
  const [heatMap, setHeatMap] = useState(localStorage.getItem(REMEMBERED) === "on");
  function toggle() {
    localStorage.setItem(REMEMBERED, heatMap ? "off" : "on");
    setHeatMap(!heatMap);
  }
  return html`<section class="live-image card" aria-label=${t("operator.image")}>
    <div class="image-box">
      ${result ? html`<${PartImage} result=${result} heatMap=${heatMap} />`
        : html`<p class="image-none">${t("operator.image_follows")}</p>`}
    </div>
    <div class="image-bar">
      <span class="muted number">${result ? `${t("operator.part")} ${partOf(result)}` : ""}</span>
      <${Button} aria-pressed=${heatMap} onClick=${toggle}>${t("operator.heat_map")}<//>
      <${Button} icon="search" disabled=${!result} onClick=${onOpen}>${t("operator.open")}<//>
    </div>
  </section>`;
}
