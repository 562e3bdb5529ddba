// Golden parts and defects that the detector has never seen, and what it says of them.

import {number, t} from "../../lib/texts.js";
import {Button, Dialog, Notice, VerdictShape} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Picture, VerdictLine} from "./common.js";
import {pathOf} from "./server.js";
import {Severities} from "./severities.js";
import {linkTo} from "./steps.js";
import {WorkLine} from "./work.js";

export function Tries({project, result, work}) {
  const [opened, setOpened] = useState(null);
  const untried = project.counts.golden + project.counts.defect - result.tries.length;
  return html`<div class="stack">
    ${!result.tries.length && html`<${Notice} tone="error">${t("teach.nothing_tried")}<//>`}
    ${untried !== 0 && html`<${Notice} tone="accent">${t("teach.untried")}<//>`}
    <div class="row">
      <a class="button" href=${linkTo(project.name, "images")}>${t("teach.add_parts")}</a>
      ${project.counts.golden + project.counts.defect > 0 && html`<${Button} disabled=${work.running}
        onClick=${() => work.begin("try")}>
        ${t("teach.try_again")}<//>`}
    </div>
    <${WorkLine} work=${work} kinds=${["try"]} />
    <${Severities} tries=${result.tries} />
    ${["golden", "defect"].map((label) => html`<${Group} key=${label} project=${project} label=${label}
      tries=${result.tries.filter((each) => each.label === label)} onOpen=${setOpened} />`)}
    ${opened && html`<${Opened} project=${project} tried=${opened} onClose=${() => setOpened(null)} />`}
  </div>`;
}

function Group({project, label, tries, onOpen}) {
  if (!tries.length) return null;
  const sorted = [...tries].sort((a, b) => a.as_expected - b.as_expected); // What is wrong comes first.
  return html`<section class="stack" aria-label=${t(`teach.filter_by.${label}`)}>
    <h2>${t(`teach.tried.${label}`, {right: tries.filter((each) => each.as_expected).length, count: tries.length})}</h2>
    <ul class="images">${sorted.map((each) => html`<li key=${each.image}
        class=${`thumbnail tried ${each.as_expected ? "" : "wrong"}`}>
      <button type="button" class="as-image" onClick=${() => onOpen(each)}>
        <${Picture} project=${project} id=${each.image} />
        <span class=${`verdict-line verdict-${each.verdict}`}><${VerdictShape} verdict=${each.verdict} />
          ${t(`common.verdict.${each.verdict}`)}
          <span class="number">${each.severity === null ? "" : number(each.severity, 2)}</span></span>
      </button>
      ${!each.as_expected && html`<span class="caption small">${t(`teach.wrong.${label}`)}</span>`}
    </li>`)}</ul></section>`;
}

/** The part beside its heat map. */
function Opened({project, tried, onClose}) {
  return html`<${Dialog} wide title=${t("teach.image", {id: String(tried.image)})} onClose=${onClose}>
    <div class="stack">
      <p><${VerdictLine} verdict=${tried.verdict} severity=${tried.severity} /></p>
      ${tried.error && html`<${Notice} tone="error">${tried.error}<//>`}
      <div class="side-by-side">
        <figure><${Picture} project=${project} id=${tried.image} size="full" />
          <figcaption class="muted small">${t("teach.original")}</figcaption></figure>
        ${tried.score !== null && html`<figure>
          <img src=${pathOf(project.name, "tries", String(tried.image))} alt=${t("teach.heat_map")} />
          <figcaption class="muted small">${t("teach.heat_map")}</figcaption></figure>`}
      </div></div><//>`;
}
