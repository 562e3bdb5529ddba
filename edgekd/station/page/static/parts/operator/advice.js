// The state, and what to do now in one sentence, with the button that does it.

import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Dialog, Field, attempt, useMay, useSession} from "../../lib/ui.js";
import {adviceOf, failedTestOf, stateOf} from "./wording.js";

const CALM_MS = 1500; // What holds for a moment within every cycle would only flicker.
const PASSING = ["RUNNING", "NOT_ENABLED"];
const CLEARED = [701, 703]; // Alarms that end when the error is cleared.

/** @param {{view: object, shown: object|null, onChangeOver: () => void}} props */
export function Advice({view, shown, onChangeOver}) {
  const calm = useCalm(view);
  const {sentence, detail} = adviceOf(calm, PASSING.includes(calm.advice.key) || calm.advice.key === "READY" ? shown : null);
  const supervisor = useMay("supervisor");
  const nobody = useSession().role === "anyone"; // Who is asked to log in when a button needs it.
  const action = actionOf(calm, supervisor || nobody, onChangeOver);
  const release = useMay("engineer") && calm.state.state === "BLOCKED";
  const [releasing, setReleasing] = useState(false);
  return html`<section class=${`advice ${toneOf(calm)}`} aria-label=${t("operator.advice")}>
    <div class="advice-text" role="status">
      <p class="advice-state">${stateOf(calm.state.state)}</p>
      <p class="advice-todo">${sentence}</p>
      ${detail && html`<p class="small">${detail}</p>`}
    </div>
    ${action && html`<${ActionButton} key=${action.label} ...${action} />`}
    ${release && html`<${Button} class="big" onClick=${() => setReleasing(true)}>${t("operator.release")}<//>`}
    ${releasing && html`<${Release} station=${view.station} onClose=${() => setReleasing(false)} />`}
  </section>`;
}

/** What the button in the bar does; null where nothing is to be done, or not by this user. */
function actionOf(view, mayGoOnline, onChangeOver) {
  const {station, advice, state} = view;
  const post = (path, body) => () => send("POST", `/api/stations/${station}/${path}`, body);
  const acknowledge = t("operator.acknowledge");
  if (state.state === "FAULT") return {label: acknowledge, action: post("acknowledge-error")};
  if (state.state === "BLOCKED") {
    const failed = failedTestOf(view);
    return {label: t(failed === "master-test" ? "operator.start_master_test" : "operator.start_self_test"), action: post(failed)};
  }
  if (state.state === "OFFLINE") {
    return mayGoOnline ? {label: t("operator.go_online"), action: post("online", {online: true})} : null;
  }
  if (state.state === "NO_JOB") return {label: t("operator.choose_recipe"), action: onChangeOver};
  if (state.stop_line || CLEARED.includes(advice.code)) return {label: acknowledge, action: post("acknowledge-error")};
  if (advice.key === "MASTER_DUE") return {label: t("operator.start_master_test"), action: post("master-test")};
  if (advice.code === 505) return {label: t("operator.start_self_test"), action: post("self-test")};
  const alarm = view.alarms.find((each) => each.code === advice.code);
  if (alarm && !alarm.acknowledged) return {label: acknowledge, action: post(`alarms/${alarm.code}/acknowledge`)};
  const missed = !advice.code && (state.missed_trigger || state.overrun);
  return missed ? {label: acknowledge, action: post("acknowledge-error")} : null;
}

function ActionButton({label, action}) {
  const [busy, setBusy] = useState(false);
  async function press() {
    setBusy(true);
    await attempt(action);
    setBusy(false);
  }
  return html`<${Button} kind="primary" class="big" busy=${busy} onClick=${press}>${label}<//>`;
}

function Release({station, onClose}) {
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    const done = () => send("POST", `/api/stations/${station}/release`, {reason: reason.trim()});
    if (await attempt(done, t("operator.released"))) onClose();
    setBusy(false);
  }
  return html`<${Dialog} title=${t("operator.release")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p>${t("operator.release_means")}</p>
      <${Field} label=${t("common.reason")} required maxlength="500" value=${reason} onInput=${setReason} autofocus />
      <footer><${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} kind="danger" type="submit" busy=${busy} disabled=${!reason.trim()}>${t("operator.release")}<//></footer>
    </form><//>`;
}

function toneOf(view) {
  if (["FAULT", "BLOCKED"].includes(view.state.state) || view.state.stop_line) return "stops";
  return view.advice.code || view.state.missed_trigger || view.state.overrun ? "warns" : "";
}

/** The view, where what passes within a cycle is held back until it stays. */
function useCalm(view) {
  const shown = useRef(view);
  const [, redraw] = useState(0);
  const passing = PASSING.includes(view.advice.key);
  useEffect(() => {
    if (!passing) return undefined;
    const timer = setTimeout(() => redraw((count) => count + 1), CALM_MS);
    return () => clearTimeout(timer);
  }, [passing, view.advice.key]);
  const since = useRef({key: "", at: 0});
  if (since.current.key !== view.advice.key) since.current = {key: view.advice.key, at: performance.now()};
  const stays = performance.now() - since.current.at >= CALM_MS;
  const another = shown.current.station !== view.station || !["READY", ...PASSING].includes(shown.current.advice.key);
  if (!passing || stays || another) shown.current = view;
  return shown.current;
}
