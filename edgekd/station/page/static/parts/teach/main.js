// Teaching a part: the list of parts, and of one the six steps from its name to a released detector.

import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {t} from "../../lib/texts.js";
import {Shell, show} from "../../lib/ui.js";
import {CheckStep} from "./check.js";
import {Waiting} from "./common.js";
import {ImagesStep} from "./images.js";
import {PartStep} from "./part.js";
import {Projects} from "./projects.js";
import {ReleaseStep} from "./release.js";
import {pathOf, useAnswer} from "./server.js";
import {Steps, linkTo, nextStep, openSteps, placeIn} from "./steps.js";
import {TrainStep} from "./train.js";
import {ViewStep} from "./view.js";

const SHOWN = {
  part: PartStep, images: ImagesStep, view: ViewStep, train: TrainStep, check: CheckStep, release: ReleaseStep,
};

function Teach() {
  const place = usePlace();
  return html`<${Shell} page="teach" role="engineer" title=${place.project || t("teach.title")}>
    ${place.project ? html`<${Project} key=${place.project} ...${place} />` : html`<${Projects} />`}
  <//>`;
}

/** The project and step that the address names, kept up to date. */
function usePlace() {
  const [place, setPlace] = useState(placeIn(location.hash));
  useEffect(() => {
    const follow = () => setPlace(placeIn(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return place;
}

function Project({project: name, step: asked}) {
  const {value: project, problem, reload} = useAnswer(pathOf(name));
  const step = project && stepShown(project, asked);
  useEffect(() => {
    if (step && step !== asked) location.replace(linkTo(name, step));
  }, [step, asked]);
  const before = useRef(null);
  useEffect(() => {
    if (before.current && step) { // Another step is another page to whoever goes by the keyboard, or listens.
      scrollTo(0, 0);
      document.getElementById("step-title")?.focus({preventScroll: true});
      reload();
    }
    before.current = step;
  }, [step]);
  if (!project) {
    return html`<div class="stack">
      <${Waiting} problem=${problem} />
      <p><a href="#">${t("teach.all_parts")}</a></p></div>`;
  }
  return html`<div class="teach">
    <${Steps} project=${project} step=${step} />
    <section class="step stack" aria-labelledby="step-title">
      <${SHOWN[step]} project=${project} reload=${reload} />
    </section></div>`;
}

/** The step that was asked for, where it can be opened; else the one to go on with. */
function stepShown(project, asked) {
  return openSteps(project).includes(asked) ? asked : nextStep(project);
}

show(Teach);
