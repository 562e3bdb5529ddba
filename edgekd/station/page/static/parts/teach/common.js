// What the steps have in common: their titles, the way on, and a few small pieces.

import {number, t} from "../../lib/texts.js";
import {Icon, Notice, VerdictShape} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";
import {imageOf} from "./server.js";
import {STEPS, linkTo} from "./steps.js";

/** The title of a step, and in a sentence what is done in it. */
export function Title({step}) {
  return html`<header class="title">
    <h1 id="step-title" tabindex="-1">${t(`teach.step.${step}`)}</h1>
    <p class="muted">${t(`teach.about.${step}`)}</p></header>`;
}

/** The way to another step at the end of one; `blocked` says what is missing yet. */
export function Next({project, to, blocked = "", children}) {
  const before = STEPS[STEPS.indexOf(to) - 2];
  const on = html`${t(`teach.step.${to}`)}<${Icon} name="right" />`;
  return html`<footer class="next">
    ${before && html`<a class="button" href=${linkTo(project.name, before)}>
      <${Icon} name="left" />${t("common.back")}</a>`}
    ${children}
    <span class="grow"></span>
    ${blocked && html`<span class="blocked muted">${blocked}</span>`}
    ${blocked
      ? html`<span class="button unavailable">${on}</span>`
      : html`<a class="button primary" href=${linkTo(project.name, to)}>${on}</a>`}
  </footer>`;
}

/** A figure that counts, with its name and what it rests on. */
export function Figure({name, value, about, tone = ""}) {
  return html`<div class=${`card figure ${tone}`}>
    <span class="muted small">${name}</span><strong>${value}</strong>
    ${about && html`<span class="muted small">${about}</span>`}</div>`;
}

/** What is shown in place of an answer that is not there yet, or could not be given. */
export function Waiting({problem}) {
  if (problem) return html`<${Notice} tone="ng" alert>${problem.text}<//>`;
  return html`<p class="empty">${t("common.loading")}</p>`;
}

/** One of a project's images; `size` is "thumbnail" or "full". */
export function Picture({project, id, size = "thumbnail"}) {
  return html`<img src=${imageOf(project.name, id, size)} alt=${t("teach.image", {id: String(id)})} loading="lazy" />`;
}

/** A verdict by shape and word, and how far from the limit. */
export function VerdictLine({verdict, severity = null}) {
  return html`<span class=${`verdict-line verdict-${verdict}`}><${VerdictShape} verdict=${verdict} />
    <strong>${t(`common.verdict.${verdict}`)}</strong>
    ${severity !== null && html`<span class="muted">
      ${t("teach.severity", {severity: number(severity, 2)})}</span>`}</span>`;
}
