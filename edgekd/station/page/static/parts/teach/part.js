// The first step: what the part is called, and which job it is; also throwing all of it away.

import {send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Button, Field, attempt} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Next, Title} from "./common.js";
import {Discard, JobTaken} from "./projects.js";
import {pathOf} from "./server.js";

export function PartStep({project, reload}) {
  const [discarding, setDiscarding] = useState(false);
  const [part, setPart] = useState({product: project.product, job: String(project.job)});
  const [busy, setBusy] = useState(false);
  const changed = part.product !== project.product || Number(part.job) !== project.job;
  async function save(event) {
    event.preventDefault();
    setBusy(true);
    const body = {product: part.product.trim(), job: Number(part.job)};
    await attempt(() => send("PATCH", pathOf(project.name), body), t("teach.saving.saved"));
    await reload();
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
          onInput=${(product) => setPart({...part, product})} /></div>
        <div class="narrow"><${Field} label=${t("teach.job")} required type="number" min="1" max="999" value=${part.job}
          onInput=${(job) => setPart({...part, job})} /></div>
        <${Button} type="submit" busy=${busy} disabled=${!changed}>${t("common.save")}<//>
      </form>
      <${JobTaken} job=${Number(part.job)} recipe=${project.name} />
      <dl class="facts">${Object.entries(facts).map(([name, value]) => html`<div key=${name}>
        <dt>${t(`teach.fact.${name}`)}</dt><dd>${value}</dd></div>`)}</dl>
    </div>
    <${Next} project=${project} to="images">
      <${Button} kind="quiet" icon="bin" onClick=${() => setDiscarding(true)}>${t("teach.discard")}<//><//>
    ${discarding && html`<${Discard} project=${project} onClose=${() => setDiscarding(false)} />`}`;
}
