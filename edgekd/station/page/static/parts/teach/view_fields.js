// The view as numbers: for the keyboard, and for whoever knows them.

import {t} from "../../lib/texts.js";
import {Button, Field, Select} from "../../lib/ui.js";
import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {MOST_TILES, boxOf, cropOf, fitted, polygonOf, rectangleOf, tilesOf} from "./view_geometry.js";

const SIDES = ["x", "y", "width", "height"];
const MOST_A_SIDE = 8;

export function Crop({view, frame, onChange}) {
  return html`<fieldset class="card stack">
    <legend class="hidden-text">${t("teach.tool.crop")}</legend>
    <div class="row between"><h2>${t("teach.tool.crop")}</h2>
      <${Button} disabled=${view.crop === null} onClick=${() => onChange({...view, crop: null})}>
        ${t("teach.whole")}<//></div>
    <${Rectangle} value=${cropOf(view, frame)} frame=${frame}
      onChange=${(crop) => onChange({...view, crop: fitted(crop, frame)})} />
  </fieldset>`;
}

export function Ignored({view, frame, onChange}) {
  const put = (index, ...polygons) => onChange({...view, ignore: view.ignore.toSpliced(index, 1, ...polygons)});
  const add = () => {
    const [x, y, width, height] = cropOf(view, frame);
    const middle = polygonOf([x + width * 0.4, y + height * 0.4, width * 0.2, height * 0.2]);
    onChange({...view, ignore: [...view.ignore, middle]});
  };
  return html`<fieldset class="card stack">
    <legend class="hidden-text">${t("teach.tool.ignore")}</legend>
    <div class="row between"><h2>${t("teach.tool.ignore")}</h2>
      <${Button} icon="plus" onClick=${add}>${t("teach.add_area")}<//></div>
    ${!view.ignore.length && html`<p class="muted small">${t("teach.no_area")}</p>`}
    ${view.ignore.map((polygon, index) => html`<div class="area stack" key=${index}>
      <div class="row between"><strong>${t("teach.area", {number: index + 1})}</strong>
        <${Button} kind="quiet" icon="bin" label=${t("teach.remove_area", {number: index + 1})}
          onClick=${() => put(index)} /></div>
      ${rectangleOf(polygon)
        ? html`<${Rectangle} value=${boxOf(polygon)} frame=${frame} onChange=${(box) => put(index, polygonOf(box))} />`
        : html`<p class="muted small">${t("teach.corners", {count: polygon.length})}</p>`}
    </div>`)}
  </fieldset>`;
}

export function Tiles({view, frame, onChange}) {
  const [rows, columns] = view.tiles;
  const [, , width, height] = tilesOf(cropOf(view, frame), view.tiles, view.overlap)[0];
  const counts = (other) => Array.from({length: Math.min(MOST_A_SIDE, Math.floor(MOST_TILES / other))},
    (_, index) => ({value: String(index + 1), label: String(index + 1)}));
  return html`<fieldset class="card stack">
    <legend class="hidden-text">${t("teach.tiles")}</legend>
    <h2>${t("teach.tiles")}</h2>
    <p class="muted small">${t("teach.tiles_hint")}</p>
    <div class="numbers two">
      <${Select} label=${t("teach.rows")} options=${counts(columns)} value=${String(rows)}
        onChange=${(value) => onChange({...view, tiles: [Number(value), columns]})} />
      <${Select} label=${t("teach.columns")} options=${counts(rows)} value=${String(columns)}
        onChange=${(value) => onChange({...view, tiles: [rows, Number(value)]})} /></div>
    <p aria-live="polite">${t("teach.tiles_are", {count: rows * columns, width, height})}</p>
  </fieldset>`;
}

/** A rectangle as four numbers, which count once they are complete. */
function Rectangle({value, frame, onChange}) {
  const most = [frame.width, frame.height, frame.width, frame.height];
  return html`<div class="numbers">${SIDES.map((side, index) => html`<${WholeNumber} key=${side}
    label=${t(`teach.side.${side}`)} value=${value[index]} most=${most[index]}
    onChange=${(number) => onChange(value.with(index, number))} />`)}</div>`;
}

function WholeNumber({label, value, most, onChange}) {
  const [text, setText] = useState(String(value));
  useEffect(() => setText(String(value)), [value]);
  const finish = () => {
    const number = Math.round(Number(text));
    if (text.trim() && Number.isFinite(number)) onChange(Math.min(Math.max(number, 0), most));
    setText(String(value)); // What it became is told by the next value.
  };
  return html`<${Field} label=${label} type="number" min="0" max=${most} step="1" value=${text} onInput=${setText}
    onChange=${finish} />`;
}
