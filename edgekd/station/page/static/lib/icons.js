// Pictures drawn as SVG: the shapes of verdicts, which are told apart without colour, and a few icons.

import {html} from "../vendor/htm-preact.js";

/** A disc with a tick, an octagon with a cross, a triangle with an exclamation mark; else a ring. */
const VERDICTS = {
  OK: html`<circle cx="50" cy="50" r="46" class="body" /><path d="M27 52l16 17 31-36" class="mark" />`,
  NG: html`<path d="M32 5h36l27 27v36L68 95H32L5 68V32z" class="body" /><path d="M32 32l36 36M68 32L32 68" class="mark" />`,
  ERROR: html`<path d="M50 6L97 92H3z" class="body" /><path d="M50 36v28M50 77v1" class="mark" />`,
};

/**
 * The shape of a verdict; decoration beside its word.
 * @param {{verdict: "OK"|"NG"|"ERROR"|"", class?: string}} props
 */
export function VerdictShape({verdict, class: name = ""}) {
  const shape = VERDICTS[verdict] ?? html`<circle cx="50" cy="50" r="40" class="mark" />`;
  return html`<svg class=${`verdict-shape ${name}`} viewBox="0 0 100 100" aria-hidden="true">${shape}</svg>`;
}

const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4-6 8-6s7 2 8 6",
  tick: "M5 12.5l5 5L19.5 7",
  cross: "M6 6l12 12M18 6L6 18",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  up: "M5 15l7-7 7 7",
  down: "M5 9l7 7 7-7",
  swap: "M4 8h14l-4-4M20 16H6l4 4",
  camera: "M4 8h4l2-3h4l2 3h4v11H4zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L21 21",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  warning: "M12 4l9.5 16h-19zM12 10v5M12 17.5v.5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9.5v.01",
  plus: "M12 5v14M5 12h14",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  play: "M8 5l11 7-11 7z",
  stop: "M6 6h12v12H6z",
};

/** An icon by its name; decoration beside a word, or in a button with a label. */
export function Icon({name}) {
  return html`<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

/** The mark of the project: a lens that has found something. */
export function Mark() {
  return html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
    <circle cx="12" cy="12" r="9" /><circle cx="15" cy="10" r="2.5" fill="currentColor" stroke="none" />
    <path d="M3 12h2M19 12h2M12 3v2M12 19v2" /></svg>`;
}
