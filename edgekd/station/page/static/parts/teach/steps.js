// The six steps of teaching a part: their order, which are done, and which can be opened.

import {t} from "../../lib/texts.js";
import {html} from "../../vendor/htm-preact.js";


export const STEPS = ["part", "images", "view", "train", "check", "release"];

/** The address of a step of a project. */
export const linkTo = (project, step) => `#/${encodeURIComponent(project)}/${step}`;

/** Which project and step an address names; both "" for the list of parts. */
export function placeIn(hash) {
  const [, project = "", step = ""] = hash.replace(/^#/, "").split("/");
  return {project: decodeURIComponent(project), step: STEPS.includes(step) ? step : ""};
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

/** Where one is: all steps, those done, and the way to each. */
export function Steps({project, step}) {
  const done = doneSteps(project), open = openSteps(project);
  const number = STEPS.indexOf(step) + 1;
  return html`
    <nav class="steps" aria-label=${t("teach.steps")}>
      <p class="where">${t("teach.step_of", {number, of: STEPS.length})} <b>${t(`teach.step.${step}`)}</b></p>
      <ol>
        ${STEPS.map((each, index) => html`
          <li key=${each} class=${[each === step && "current", done.includes(each) && "done"].filter(Boolean).join(" ")}>
            <a href=${open.includes(each) ? linkTo(project.name, each) : null}
              aria-current=${each === step ? "step" : null} aria-disabled=${open.includes(each) ? null : "true"}>
              <span class="number" aria-hidden="true">${done.includes(each) && each !== step ? "✓" : index + 1}</span>
              <span class="name">${t(`teach.step.${each}`)}</span>
              ${done.includes(each) && html`<span class="hidden-text">${t("teach.done")}</span>`}
            </a>
          </li>`)}
      </ol>
    </nav>`;
}
