// The fourth step: a time budget, then what the training does, as it happens. It goes on where nobody looks.

import {LineChart} from "../../lib/charts.js";
import {duration, number, t, time} from "../../lib/texts.js";
import {Button, Field, Icon, Notice, Segmented, Select} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Next, Title, Waiting} from "./common.js";
import {endingOf, outcomeOf} from "./outcome.js";
import {useAnswer} from "./server.js";
import {enough} from "./steps.js";
import {WorkLine, useWork} from "./work.js";

const MINUTES = [3, 10, 30, 120];

export function TrainStep({project, reload}) {
  const work = useWork(project, reload);
  const {progress, problem, running} = work;
  if (!progress && project.work) {
    return html`<${Title} step="train" />
      <${Waiting} problem=${problem} />`;
  }
  return html`
    <${Title} step="train" />
    ${progress?.kind === "train" ? html`<${Progress} work=${work} />` : html`<${WorkLine} work=${work} kinds=${[]} />`}
    ${!running && html`<${Order} project=${project} again=${Boolean(project.run)} begin=${work.begin} />`}
    <${Next} project=${project} to="check" blocked=${project.run && !running ? "" : t("teach.not_trained")} />`;
}

/** What is trained on, and for how long. */
function Order({project, again, begin}) {
  const [minutes, setMinutes] = useState("10");
  const [system, setSystem] = useState(project.system);
  const [busy, setBusy] = useState(false);
  const systems = useAnswer("/api/teach").value?.systems ?? [];
  const usual = MINUTES.map((value) => ({value: String(value), label: duration(60 * value)}));
  const start = async (event) => {
    event.preventDefault();
    setBusy(true);
    await begin("train", {minutes: Number(minutes), system});
    setBusy(false);
  };
  return html`<form class="card stack" onSubmit=${start}>
    <h2>${t(again ? "teach.train_anew" : "teach.order")}</h2>
    ${again && html`<p>${t("teach.train_again")}</p>`}
    <p>${t("teach.train_on", {good: project.counts.good})} ${project.counts.golden + project.counts.defect > 0
      ? t("teach.try_on", {golden: project.counts.golden, defect: project.counts.defect}) : t("teach.try_none")}</p>
    <div class="row bottom">
      <div class="field"><span class="label">${t("teach.minutes_usual")}</span>
        <${Segmented} label=${t("teach.minutes_usual")} options=${usual} value=${minutes}
          onChange=${setMinutes} /></div>
      <div class="narrow"><${Field} label=${t("teach.minutes")} type="number" min="0.1" max="1440" step="any" required
        value=${minutes} onInput=${setMinutes} /></div>
      ${systems.length > 1 && html`<div class="narrow"><${Select} label=${t("teach.system")} value=${system}
        onChange=${setSystem}
        options=${systems.map((each) => ({value: each, label: each}))} /></div>`}
    </div>
    <p class="muted small">${t("teach.minutes_hint")}</p>
    <div><${Button} kind="primary" type="submit" icon="play" busy=${busy} disabled=${!enough(project)}>
      ${t(again ? "teach.train_anew" : "teach.train")}<//></div>
  </form>`;
}

function Progress({work}) {
  const {progress, running, begin, stop} = work;
  const {state, error, ending, elapsed_s: elapsed} = progress;
  return html`<div class="card stack progress">
    <div class="row between">
      <h2>${t(`teach.work.${state}`)}</h2>
      ${running && html`<${Button} icon="stop" onClick=${stop}>${t("teach.stop")}<//>`}
      ${["stopped", "failed", "interrupted"].includes(state) && html`<${Button} icon="play"
        onClick=${() => begin("train", {resume: true})}>${t("teach.go_on")}<//>`}
    </div>
    ${running && html`<${Clock} progress=${progress} />`}
    ${error && html`<${Notice} tone="ng" alert>${error}<//>`}
    ${ending && html`<${Notice} tone="error" alert>${endingOf(ending)}<//>`}
    <div class="training">
      <${WorkSteps} progress=${progress} />
      <${Curve} curve=${progress.curve ?? []} />
    </div>
    ${running ? html`<p class="muted small">${t("teach.may_close")}</p>`
      : html`<p class="muted small">${t("teach.took", {time: duration(elapsed)})}</p>`}
    ${progress.log?.length > 0 && html`<details><summary>${t("teach.log")}</summary>
      <ol class="log mono small" tabindex="0">${progress.log.slice().reverse().map((line, index) => html`
        <li key=${index}><span class="muted">${time(line.time_utc_ms)}</span> ${line.text}</li>`)}</ol></details>`}
    <p class="hidden-text" aria-live="polite">
      ${t(`teach.work.${state}`)} ${running && progress.step ? t(`teach.work_step.${progress.step}`) : ""}</p>
  </div>`;
}

/** How long the running step still takes, readable from some steps away. */
function Clock({progress: {step, elapsed_s: elapsed, left_s: left}}) {
  const sofar = t("teach.elapsed", {time: duration(elapsed)});
  if (left === null) return html`<p class="clock muted">${sofar}</p>`;
  return html`<p class="clock"><strong class="number">
    ${step && `${t(`teach.work_step.${step}`)}: `}${t("teach.left", {time: duration(left)})}</strong>
    ${" "}<span class="muted">${sofar}</span></p>`;
}

/** From images to golden parts: what is done, what is being done. */
function WorkSteps({progress}) {
  const sign = (state) => {
    if (state === "running" && progress.running) return html`<span class="spinner"></span>`;
    const icon = {done: "tick", failed: "cross"}[state];
    return icon && html`<${Icon} name=${icon} />`;
  };
  return html`<ol class="work-steps">${progress.steps.map((step) => html`<li key=${step.name} class=${step.state}>
    <span class="sign" aria-hidden="true">${sign(step.state)}</span>
    <span class="what"><strong>${t(`teach.work_step.${step.name}`)}</strong>
      <span class="hidden-text">${t(`teach.work_state.${step.state}`)}</span>
      ${step.text && html`<span class="muted small">${outcomeOf(step)}</span>`}
      ${step.state === "running" && progress.running && progress.total > 0 && html`<progress max=${progress.total}
        value=${progress.done} aria-label=${t(`teach.work_step.${step.name}`)} />`}</span>
  </li>`)}</ol>`;
}

/** Minutes and seconds, such as 2:05. */
export function clockTime(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** The loss over time, on a scale of its own powers of ten: where it no longer falls, more time brings little. */
function Curve({curve}) {
  const points = curve.filter((each) => each.loss > 0).map((each) => [each.t, Math.log10(each.loss)]);
  const loss = (power) => number(Number((10 ** power).toPrecision(2)));
  return html`<div class="curve"><h3>${t("teach.curve")}</h3>
    ${points.length < 2
      ? html`<p class="empty">${t("teach.no_curve")}</p>`
      : html`<${LineChart} label=${t("teach.curve_label", {loss: loss(points.at(-1)[1])})} height=${220}
          xFormat=${clockTime} yFormat=${loss} series=${[{name: t("teach.loss"), tone: "accent", points}]} />
        <p class="muted small">${t("teach.curve_hint")}</p>`}</div>`;
}
