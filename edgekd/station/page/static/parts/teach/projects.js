// The parts that are being taught, and naming a new one.

import {send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Field, Icon, Notice, Select, attempt} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {imageOf, useAnswer} from "./server.js";
import {STEPS, imagesOf, isReleased, isTraining, linkTo, nextStep} from "./steps.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9_.\\-]{0,63}"; // As recipes are named.

export function Projects() {
  const {value, problem} = useAnswer("/api/teach", 5000);
  const [naming, setNaming] = useState(false);
  const projects = value?.projects;
  const teach = html`<${Button} kind="primary" icon="plus" onClick=${() => setNaming(true)}>${t("teach.new_part")}<//>`;
  return html`<div class="stack">
    <div class="row between"><h1 id="step-title">${t("teach.title")}</h1>${projects?.length > 0 && teach}</div>
    ${problem && html`<${Notice} tone="ng" alert>${problem.text}<//>`}
    ${!projects && !problem && html`<p class="empty">${t("common.loading")}</p>`}
    ${projects?.length === 0 && html`<${Welcome}>${teach}<//>`}
    <ul class="projects">${projects?.map((each) => html`<${ProjectCard} key=${each.name} project=${each} />`)}</ul>
    ${naming && html`<${NewPart} onClose=${() => setNaming(false)} />`}
  </div>`;
}

/** What comes, for somebody who teaches the first part. */
function Welcome({children}) {
  return html`<div class="card welcome stack">
    <p>${t("teach.welcome")}</p>
    <ol>${STEPS.map((step, index) => html`<li key=${step}>
      <span class="number" aria-hidden="true">${index + 1}</span>
      <div><h2>${t(`teach.step.${step}`)}</h2><p class="muted">${t(`teach.about.${step}`)}</p></div>
    </li>`)}</ol>
    <div>${children}</div></div>`;
}

function ProjectCard({project}) {
  const step = nextStep(project);
  return html`<li class="card project">
    <a href=${linkTo(project.name, step)}>
      ${project.example
        ? html`<img src=${imageOf(project.name, project.example, "thumbnail")} alt="" loading="lazy" />`
        : html`<span class="no-image"><${Icon} name="image" /></span>`}
      <span class="stack">
        <strong class="name">${project.product || project.name}</strong>
        <span class="muted small">${t("teach.card_line", project)}</span>
        <span class="row small">
          <${Badge} tone=${TONES[stateOf(project)]}>${t(`teach.state.${stateOf(project)}`)}<//>
          <span class="muted">${t("teach.good_images", {count: project.counts.good})}</span></span>
        <span class="muted small">${dateTime(project.created_utc_ms)}${project.by && ` · ${project.by}`}</span>
      </span></a></li>`;
}

const TONES = {collecting: "", training: "accent", taught: "error", released: "ok"};

/** How far a part is, in a word. */
function stateOf(project) {
  if (isTraining(project)) return "training";
  if (isReleased(project)) return "released";
  return project.run ? "taught" : "collecting";
}

/** Names a part: where it is inspected, and what the PLC asks for when it comes. */
function NewPart({onClose}) {
  const stations = useAnswer("/api/teach").value?.stations ?? [];
  const [part, setPart] = useState({name: "", product: "", station: "", job: ""});
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const set = (field) => (value) => setPart({...part, [field]: value});
  const station = part.station || stations[0] || "";
  async function create(event) {
    event.preventDefault();
    setBusy(true);
    const body = {...part, name: part.name.trim(), product: part.product.trim(), station, job: Number(part.job)};
    try {
      await send("POST", "/api/teach", body);
      location.hash = linkTo(body.name, "images");
    } catch (error) {
      setProblem(error.text);
      setBusy(false);
    }
  }
  return html`<${Dialog} title=${t("teach.new_part")} onClose=${onClose}>
    <form class="stack" onSubmit=${create}>
      <${Field} label=${t("teach.product")} hint=${t("teach.product_hint")} value=${part.product} required
        maxlength="200" autofocus onInput=${set("product")} />
      <${Field} label=${t("teach.name")} hint=${t("teach.name_hint")} value=${part.name} required pattern=${NAME}
        autocapitalize="none" spellcheck=${false} onInput=${set("name")} />
      <${Field} label=${t("teach.job")} hint=${t("teach.job_hint")} value=${part.job} required type="number" min="1"
        max="999" onInput=${set("job")} />
      <${JobTaken} job=${Number(part.job)} recipe=${part.name.trim()} />
      ${stations.length > 1 && html`<${Select} label=${t("common.station")} value=${station} onChange=${set("station")}
        options=${stations.map((each) => ({value: each, label: each}))} />`}
      ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
      <footer><${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} kind="primary" type="submit" busy=${busy} disabled=${!station}>${t("teach.begin")}<//></footer>
    </form><//>`;
}

/** Says where another recipe is released for a job. */
export function JobTaken({job, recipe}) {
  const released = useAnswer("/api/recipes/released").value ?? [];
  const taken = released.find((each) => each.job === job && each.recipe !== recipe);
  return taken ? html`<${Notice} tone="error">${t("teach.job_taken", taken)}<//>` : null;
}

/** Asks before a project and all its images go. */
export function Discard({project, onClose}) {
  const [busy, setBusy] = useState(false);
  async function discard() {
    setBusy(true);
    if (await attempt(() => send("DELETE", `/api/teach/${encodeURIComponent(project.name)}`), t("teach.discarded"))) {
      location.hash = "";
    } else setBusy(false);
  }
  const footer = html`<${Button} onClick=${onClose}>${t("common.cancel")}<//>
    <${Button} kind="danger" icon="bin" busy=${busy} onClick=${discard}>${t("teach.discard")}<//>`;
  return html`<${Dialog} title=${t("teach.discard_title", project)} onClose=${onClose} footer=${footer}>
    <p>${t("teach.discard_text", {count: imagesOf(project)})}</p><//>`;
}
