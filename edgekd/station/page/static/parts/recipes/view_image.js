// A recipe's view, drawn over its reference images: what is looked at, what is ignored, the tiles.

import {get, send} from "../../lib/api.js";
import {percent, t} from "../../lib/texts.js";
import {Button, Dialog, Select, Segmented, attempt} from "../../lib/ui.js";
import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {pathOf} from "./common.js";

const corners = (polygon) => polygon.map((point) => point.join(",")).join(" ");
const box = ([x, y, width, height]) => `M${x} ${y}h${width}v${height}h${-width}z`;
const ring = (polygon) => `M${polygon.map((point) => point.join(" ")).join("L")}Z`;

/** @param {{row: object, facts: object}} props */
export function ViewImage({row, facts}) {
  const {view, references} = facts;
  const [number, setNumber] = useState(0);
  const [taking, setTaking] = useState(false);
  if (!references.length) return null;
  const reference = references[Math.min(number, references.length - 1)];
  const options = references.map((each) => ({value: each.number, label: `${each.verdict} ${each.number + 1}`}));
  return html`<section class="card stack">
    <h2>${t("recipes.view")}</h2>
    <div class="recipe-view">
      <img src=${pathOf(row, "references", reference.number)}
        alt=${t("recipes.reference", {number: reference.number + 1, verdict: reference.verdict})} />
      ${view?.frame && html`<${Drawing} view=${view} />`}
    </div>
    ${options.length > 1 && html`<${Segmented} label=${t("recipes.references")} options=${options}
      value=${reference.number} onChange=${setNumber} />`}
    ${view && html`<p>${wordsOf(view)}</p>`}
    ${view && html`<div class="row"><p class="muted small recipe-beside">${t("recipes.view_fixed")}</p>
      <${Button} icon="image" onClick=${() => setTaking(true)}>${t("recipes.change_view")}<//></div>`}
    ${taking && html`<${Taking} view=${view} onClose=${() => setTaking(false)} />`}
  </section>`;
}

/** A view in words. */
function wordsOf(view) {
  const [rows, columns] = view.tiles;
  const [x, y, width, height] = view.crop ?? [];
  return [
    view.align && t("recipes.view_align", {shift: view.align.max_shift, rotation: view.align.max_rotation}),
    view.crop ? t("recipes.view_crop", {x, y, width, height}) : t("recipes.view_whole"),
    view.look_at.length && t("recipes.view_look_at", {count: view.look_at.length}),
    view.ignore.length && t("recipes.view_ignore", {count: view.ignore.length}),
    rows * columns > 1 && t("recipes.view_tiles", {rows, columns, overlap: percent(view.overlap, 0)}),
    t(`recipes.view_${view.fit}`),
  ].filter(Boolean).join(", ");
}

/** In pixels of the frame: what is not looked at is dark, what is ignored hatched, tiles are outlined. */
function Drawing({view}) {
  const [height, width] = view.frame;
  const crop = view.crop ?? [0, 0, width, height];
  const line = Math.max(width, height) / 80;
  return html`<svg viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${wordsOf(view)}>
    <defs><pattern id="recipe-hatch" patternUnits="userSpaceOnUse" width=${line} height=${line} patternTransform="rotate(45)">
      <path class="hatch" d=${`M0 0V${line}`} stroke-width=${line / 2} /></pattern></defs>
    <path class="outside" fill-rule="evenodd" d=${box([0, 0, width, height]) + box(crop)} />
    ${view.look_at.length > 0 && html`<path class="outside" fill-rule="evenodd" d=${box(crop) + view.look_at.map(ring).join("")} />`}
    ${view.ignore.map((polygon, index) => html`<polygon key=${index} class="ignored" points=${corners(polygon)} />`)}
    ${view.boxes.length > 1 && view.boxes.map((tile, index) => html`<path key=${index} class=${`tile odd-${
      (Math.floor(index / view.tiles[1]) + (index % view.tiles[1])) % 2}`} d=${box(tile)} />`)}
    ${view.crop && html`<path class="crop" d=${box(crop)} />`}
  </svg>`;
}

/** A released graph's view is fixed: it goes into a teaching project, is changed there, and is trained anew. */
function Taking({view, onClose}) {
  const [projects, setProjects] = useState(null);
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    attempt(async () => {
      const known = (await get("/api/teach")).projects;
      setProjects(known);
      setName(known[0]?.name ?? "");
    });
  }, []);
  async function take() {
    setBusy(true);
    const body = {crop: view.crop, ignore: view.ignore, tiles: view.tiles};
    const path = `/api/teach/${encodeURIComponent(name)}/view`;
    if (await attempt(() => send("POST", path, body))) location.assign(`/teach#/${encodeURIComponent(name)}/view`);
    setBusy(false);
  }
  const options = (projects ?? []).map((each) => ({value: each.name, label: each.name}));
  return html`<${Dialog} title=${t("recipes.change_view")} onClose=${onClose}>
    <div class="stack">
      <p>${t("recipes.view_means")}</p>
      ${view.look_at.length > 0 && html`<p class="muted">${t("recipes.look_at_lost")}</p>`}
      ${projects && !projects.length && html`<p>${t("recipes.no_project")} <a href="/teach">${t("common.page.teach")}</a></p>`}
      ${options.length > 0 && html`<${Select} label=${t("recipes.project")} options=${options} value=${name} onChange=${setName} />`}
      <footer class="row end"><${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} kind="primary" disabled=${!name} busy=${busy} onClick=${take}>${t("recipes.take_view")}<//></footer>
    </div><//>`;
}
