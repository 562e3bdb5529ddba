// What the steps have in common: their titles, the way on, and a few small pieces.

import {t} from "../../lib/texts.js";
import {Icon} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";
import {STEPS, linkTo} from "./steps.js";

/** The title of a step, and in a sentence what is done in it. */
export function Title({step}) {
  return html`<header class="title">
    <h1 id="step-title">${t(`teach.step.${step}`)}</h1>
    <p class="muted">${t(`teach.about.${step}`)}</p></header>`;
}

/** The way to another step at the end of one; `blocked` says what is missing yet. */
export function Next({project, to, blocked = "", label, onClick, children}) {
  const before = STEPS[STEPS.indexOf(to) - 2];
  return html`<footer class="next">
    ${before && html`<a class="button" href=${linkTo(project.name, before)}><${Icon} name="left" />${t("common.back")}</a>`}
    ${children}
    <span class="grow"></span>
    ${blocked && html`<span class="blocked muted">${blocked}</span>`}
    <a class=${`button ${blocked ? "unavailable" : "primary"}`} onClick=${onClick}
      href=${blocked ? undefined : linkTo(project.name, to)} aria-disabled=${blocked ? "true" : undefined}>
      ${label ?? t("teach.next_to", {step: t(`teach.step.${to}`)})}<${Icon} name="right" /></a>
  </footer>`;
}

/** A figure that counts, with its name and what it rests on. */
export function Figure({name, value, about, tone = ""}) {
  return html`<div class=${`card figure ${tone}`}>
    <span class="muted small">${name}</span><strong>${value}</strong>
    ${about && html`<span class="muted small">${about}</span>`}</div>`;
}
