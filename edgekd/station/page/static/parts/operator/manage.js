// What a supervisor or an engineer does with the station itself.

import {html} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Dialog, attempt, useMay} from "../../lib/ui.js";

/** @param {{view: object, onClose: () => void}} props */
export function Manage({view, onClose}) {
  const engineer = useMay("engineer");
  const {online} = view;
  const simulated = view.state.simulated;
  async function post(path, body, done) {
    if (await attempt(() => send("POST", `/api/stations/${view.station}/${path}`, body), done)) onClose();
  }
  return html`<${Dialog} title=${view.station} onClose=${onClose}><div class="stack">
    <p>${t(online ? "operator.offline_means" : "operator.online_means")}</p>
    <${Button} kind=${online ? "" : "primary"} class="big" onClick=${() => post("online", {online: !online})}>
      ${t(online ? "operator.go_offline" : "operator.go_online")}<//>
    ${engineer && html`<p>${t("operator.simulate_means")}</p>
      <${Button} class="big" onClick=${() => post("simulate", {on: !simulated})}>
        ${t(simulated ? "operator.simulate_off" : "operator.simulate_on")}<//>`}
  </div><//>`;
}
