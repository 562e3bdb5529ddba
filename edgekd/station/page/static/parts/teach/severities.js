// How far golden parts and defects lie from the limit: one mark a part, 0 a typical good part, 1 the limit.

import {useWidth} from "../../lib/charts.js";
import {scale, ticks} from "../../lib/scales.js";
import {number, t} from "../../lib/texts.js";
import {html} from "../../vendor/htm-preact.js";

const SIDE = 16, ROW = 44, TOP = 26, BOTTOM = 26;
const MOST = 4; // Beyond it, how far hardly matters; all those stand at the end.

/** @param {{tries: {label: string, severity: number|null, image: number}[]}} props */
export function Severities({tries}) {
  const [box, width] = useWidth();
  const known = tries.filter((each) => each.severity !== null);
  const rows = ["golden", "defect"].filter((label) => known.some((each) => each.label === label));
  const low = Math.min(-0.5, ...known.map((each) => each.severity));
  const x = scale(low, MOST, SIDE, width - SIDE);
  const height = TOP + rows.length * ROW + BOTTOM;
  const middle = (label) => TOP + (rows.indexOf(label) + 0.5) * ROW;
  return html`<figure class="chart severities" ref=${box}>
    ${known.length > 0 && html`<svg width=${width} height=${height} role="img"
      aria-label=${t("teach.severities_label")}>
      ${ticks(low, MOST, width < 500 ? 4 : 8).map((value) => html`<g key=${value}>
        <path class="rule" d=${`M${x(value)} ${TOP}V${height - BOTTOM}`} />
        <text x=${x(value)} y=${height - 8} text-anchor="middle">
          ${value >= MOST ? "≥ " : ""}${number(value)}</text></g>`)}
      <g class="tone-ng"><path class="stroke" d=${`M${x(1)} ${TOP - 4}V${height - BOTTOM}`} />
        <text class="strong" x=${x(1)} y=${TOP - 10} text-anchor="middle">${t("teach.limit")}</text></g>
      ${rows.map((label) => html`<text key=${label} class="strong" x=${width - SIDE} y=${middle(label) - 13}
        text-anchor="end">${t(`teach.filter_by.${label}`)}</text>`)}
      ${known.map((each) => {
        const at = x(Math.min(MOST, each.severity)), y = middle(each.label);
        return each.label === "golden"
          ? html`<circle key=${each.image} class="fill golden" cx=${at} cy=${y} r="6" />`
          : html`<rect key=${each.image} class="fill defect" x=${at - 5} y=${y - 5} width="10" height="10"
              transform=${`rotate(45 ${at} ${y})`} />`;
      })}
    </svg>`}</figure>`;
}
