// The six steps of teaching a part: their order, which are done, and which can be opened.

import {decoded} from "../../lib/address.js";
import {t} from "../../lib/texts.js";
import {Icon} from "../../lib/ui.js";
import {html} from "../../vendor/htm-preact.js";

export const STEPS = ["part", "images", "view", "train", "check", "release"];

/** The address of a step of a project. */
export const linkTo = (project, step) => `#/${encodeURIComponent(project)}/${step}`;

/** Which project and step an address names; both "" for the list of parts. */
export function placeIn(hash) {
  const [, project = "", step = ""] = hash.replace(/^#/, "").split("/");
  return {project: decoded(project), step: STEPS.includes(step) ? step : ""};
}

/** Whether there are good images enough to train. */
export const enough = (project) => project.wanted.code !== "too_few";

/** Whether the training goes on. */
export const isTraining = (project) => project.work?.kind === "train" && project.work.state === "running";

/** Whether the detector that was trained last has been released. */
export const isReleased = (project) => project.draft !== null && project.draft.status !== "draft";

/** How many images there are, whatever they show. */
export const imagesOf = ({counts}) => counts.good + counts.out + counts.defect + counts.golden;

/** The names of the steps that are done. */
export function doneSteps(project) {
  const done = ["part"];
  if (enough(project)) done.push("images");
  if (project.run || isTraining(project)) done.push("view");
  if (project.run && !isTraining(project)) done.push("train");
  if (project.draft) done.push("check");
  if (isReleased(project)) done.push("release");
  return done;
}

/** The names of the steps that can be opened. */
export function openSteps(project) {
  const open = ["part", "images"];
  if (project.frame) open.push("view");
  if (enough(project) || project.work || project.run) open.push("train");
  if (project.run) open.push("check", "release");
  return open;
}

/** The step at which somebody who opens a project goes on. */
export function nextStep(project) {
  if (isTraining(project)) return "train";
  if (project.draft) return "release";
  if (project.run) return "check";
  if (project.work) return "train"; // It was stopped, or failed.
  return enough(project) ? "view" : "images";
}

/** Where one is: all steps, those done, and the way to each that can be opened. */
export function Steps({project, step}) {
  const done = doneSteps(project);
  const open = openSteps(project);
  const entries = STEPS.map((name, index) => {
    const isDone = done.includes(name);
    const sign = isDone && name !== step ? html`<${Icon} name="tick" />` : index + 1;
    const content = html`
      <span class="number" aria-hidden="true">${sign}</span>
      <span class="name">${t(`teach.step.${name}`)}</span>
      ${isDone && html`<span class="hidden-text">${t("teach.done")}</span>`}`;
    return html`<li key=${name} class=${`${name === step ? "current" : ""} ${isDone ? "done" : ""}`}>
      ${open.includes(name)
        ? html`<a href=${linkTo(project.name, name)} aria-current=${name === step ? "step" : undefined}>${content}</a>`
        : html`<span class="closed">${content}</span>`}</li>`;
  });
  return html`<nav class="steps" aria-label=${t("teach.steps")}>
    <p class="where">${t("teach.step_of", {number: STEPS.indexOf(step) + 1, of: STEPS.length})}
      ${" "}<strong>${t(`teach.step.${step}`)}</strong></p>
    <ol>${entries}</ol>
  </nav>`;
}
