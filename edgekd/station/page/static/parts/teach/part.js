// The first step: what the part is called, and which job it is; also throwing all of it away.

import {send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Button, Field, attempt} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Next, Title} from "./common.js";
import {Discard, JobTaken} from "./projects.js";
import {pathOf} from "./server.js";

/** What is no longer as it was: the rest may have been changed by somebody else meanwhile, and stays. */
export function changesOf(project, typed) {
  const meant = {};
  if ("product" in typed) meant.product = typed.product.trim();
  if ("job" in typed) meant.job = Number(typed.job);
  return Object.fromEntries(Object.entries(meant).filter(([name, value]) => value !== project[name]));
}

export function PartStep({project, reload}) {
  const [discarding, setDiscarding] = useState(false);
  const [typed, setTyped] = useState({}); // The fields that were touched.
  const [busy, setBusy] = useState(false);
  const part = {product: project.product, job: String(project.job), ...typed};
  const changes = changesOf(project, typed);
  async function save(event) {
    event.preventDefault();
    setBusy(true);
    const saved = await attempt(() => send("PATCH", pathOf(project.name), changes), t("teach.saving.saved"));
    await reload();
    if (saved) setTyped({});
    setBusy(false);
  }
  const facts = {
    name: project.name, station: project.station,
    created: [dateTime(project.created_utc_ms), project.by].filter(Boolean).join(" · "),
  };
  return html`
    <${Title} step="part" />
    <div class="card stack">
      <form class="row bottom" onSubmit=${save}>
        <div class="grow"><${Field} label=${t("teach.product")} required maxlength="200" value=${part.product}
          onInput=${(product) => setTyped({...typed, product})} /></div>
        <div class="narrow"><${Field} label=${t("teach.job")} required type="number" min="1" max="999" value=${part.job}
          onInput=${(job) => setTyped({...typed, job})} /></div>
        <${Button} type="submit" busy=${busy} disabled=${!Object.keys(changes).length}>${t("common.save")}<//>
      </form>
      <${JobTaken} job=${Number(part.job)} recipe=${project.name} />
      <dl class="facts">${Object.entries(facts).map(([name, value]) => html`<div key=${name}>
        <dt>${t(`teach.fact.${name}`)}</dt><dd>${value}</dd></div>`)}</dl>
    </div>
    <${Next} project=${project} to="images">
      <${Button} kind="quiet" icon="bin" onClick=${() => setDiscarding(true)}>${t("teach.discard")}<//><//>
    ${discarding && html`<${Discard} project=${project} onClose=${() => setDiscarding(false)} />`}`;
}
