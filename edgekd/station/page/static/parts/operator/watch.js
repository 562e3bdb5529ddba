// What somebody at the line keeps an eye on: alarms, links, self-tests.

import {html, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {moment, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Icon, attempt, useMay} from "../../lib/ui.js";
import {Manage} from "./manage.js";
import {detailOf, linkOf, sentenceOf} from "./wording.js";

/** @param {{view: object}} props */
export function Alarms({view}) {
  const acknowledge = (code) => () => attempt(() => send("POST", `/api/stations/${view.station}/alarms/${code}/acknowledge`));
  return html`<section class="alarms card" aria-label=${t("operator.alarms")}>
    <h2>${t("operator.alarms")}</h2>
    ${!view.alarms.length && html`<p class="all-well"><${Icon} name="tick" />${t("operator.no_alarms")}</p>`}
    <ul class="stack">
      ${view.alarms.map((alarm) => html`<li key=${alarm.code} class=${alarm.fatal ? "fatal" : ""}>
        <div class="grow">
          <p><strong>${sentenceOf(alarm.code) || alarm.text}</strong></p>
          ${detailOf(alarm.code, alarm.text) && html`<p class="small">${alarm.text}</p>`}
          <p class="small muted">${alarm.code} · ${moment(alarm.since_utc_ms)}${alarm.active ? "" : ` · ${t("operator.gone")}`}
            ${alarm.acknowledged && ` · ${t("operator.seen_by", {who: alarm.acknowledged_by})}`}</p>
        </div>
        ${!alarm.acknowledged && html`<${Button} onClick=${acknowledge(alarm.code)}>${t("operator.acknowledge")}<//>`}
      </li>`)}
    </ul>
  </section>`;
}

/** @param {{view: object}} props */
export function Links({view}) {
  const [managing, setManaging] = useState(false);
  const supervisor = useMay("supervisor");
  return html`<section class="links card" aria-label=${t("operator.links")}>
    <h2>${t("operator.links")}</h2>
    <ul>${Object.entries(view.links).map(([name, up]) => html`<li key=${name} class=${up ? "up" : "down"}>
      <${Icon} name=${up ? "tick" : "cross"} /><span>${linkOf(name)}</span>
      <span class=${up ? "hidden-text" : "small"}>${t(up ? "operator.link_up" : "operator.link_down")}</span>
    </li>`)}</ul>
    ${supervisor && html`<${Button} onClick=${() => setManaging(true)}>${t("common.station")}<//>`}
    ${managing && html`<${Manage} view=${view} onClose=${() => setManaging(false)} />`}
  </section>`;
}

/** @param {{view: object}} props */
export function SelfTest({view}) {
  const {last, due, master_running: running} = view.self_test;
  const [asking, setAsking] = useState(false);
  const post = (path) => send("POST", `/api/stations/${view.station}/${path}`);
  async function startMaster() {
    if (await attempt(() => post("master-test"), t("operator.master_started"))) setAsking(false);
  }
  return html`<section class="self-test card" aria-label=${t("operator.self_test")}>
    <h2>${t("operator.self_test")}
      ${running ? html`<${Badge} tone="accent">${t("operator.running")}<//>`
        : last && html`<${Badge} tone=${last.passed ? "ok" : "ng"}>${t(last.passed ? "operator.passed" : "operator.failed")}<//>`}
      ${due && html`<${Badge} tone="error">${t("operator.due")}<//>`}
    </h2>
    <p class="small muted">${last ? `${t(`operator.test.${last.kind}`)}, ${moment(last.ended_utc_ms)}`
      : t("operator.no_self_test")}</p>
    <div class="row">
      <${Button} onClick=${() => attempt(() => post("self-test"), t("operator.self_test_started"))}>
        ${t("operator.self_test")}<//>
      <${Button} onClick=${() => setAsking(true)}>${t("operator.start_master_test")}<//>
    </div>
    ${asking && html`<${Dialog} title=${t("operator.test.master")} onClose=${() => setAsking(false)} footer=${html`
        <${Button} onClick=${() => setAsking(false)}>${t("common.cancel")}<//>
        <${Button} kind="primary" onClick=${startMaster}>${t("operator.start")}<//>`}>
      <p>${t("operator.master_means")}</p><//>`}
  </section>`;
}
