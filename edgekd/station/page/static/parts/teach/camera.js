// Images from the station's camera: at a press, or one every so often; what is wrong is told while the part lies there.

import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Dialog, Notice, attempt} from "../../lib/ui.js";
import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {Picture} from "./common.js";
import {Hints} from "./hints.js";
import {act, useAnswer} from "./server.js";

const STATE_MS = 2000;
const PAUSE_MS = 1500; // Between the images of a series: time to lay down the next part.

export function Camera({project, label, onTaken, onOpen}) {
  const {value, reload} = useAnswer("/api/state", STATE_MS);
  const station = value?.stations.find((each) => each.station === project.station);
  const free = ["OFFLINE", "NO_JOB"].includes(station?.state.state);
  const [last, setLast] = useState(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [series, setSeries] = useState(false);
  const latest = useRef();
  latest.current = {label, free};

  async function take() {
    setBusy(true);
    try {
      setLast((await act(project.name, "collect", {label: latest.current.label})).image);
      setProblem("");
      await onTaken();
    } catch (error) {
      setProblem(error.text);
      setSeries(false);
    } finally {
      setBusy(false);
    }
  }
  useEffect(() => {
    if (!series) return undefined;
    let timer = 0, ended = false;
    const next = async () => {
      await take();
      if (!ended) timer = setTimeout(next, PAUSE_MS);
    };
    next();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [series]);

  if (station && !free) return html`<${Running} station=${station} onChanged=${reload} />`;
  return html`<div class="camera">
    <div class="shot">
      ${last
        ? html`<button type="button" class="as-image" onClick=${() => onOpen(last.id)}>
            <${Picture} project=${project} id=${last.id} size="full" /></button>`
        : html`<p class="empty">${t("teach.no_shot")}</p>`}
    </div>
    <div class="stack">
      <div class="row">
        <${Button} kind="primary" class="shutter" icon="camera" busy=${busy && !series} disabled=${series || !station}
          onClick=${take}>${t("teach.take")}<//>
        <${Button} icon=${series ? "stop" : "play"} aria-pressed=${series} disabled=${!station}
          onClick=${() => setSeries(!series)}>${t(series ? "teach.series_stop" : "teach.series")}<//>
      </div>
      <p class="muted small">${t("teach.series_hint")}</p>
      <div aria-live="polite" class="stack">
        ${problem && html`<${Notice} tone="ng">${problem}<//>`}
        ${last && !problem && (last.hints.length
          ? html`<${Hints} hints=${last.hints} /><p class="muted small">${t("teach.hints_hint")}</p>`
          : html`<${Notice} tone="ok">${t("teach.taken", {id: String(last.id)})}<//>`)}
      </div>
    </div></div>`;
}

/** The camera belongs to the line while the station runs. */
function Running({station, onChanged}) {
  const [asking, setAsking] = useState(false);
  const goOffline = async () => {
    const path = `/api/stations/${encodeURIComponent(station.station)}/online`;
    setAsking(false);
    await attempt(() => send("POST", path, {online: false}), t("teach.is_offline"));
    await onChanged();
  };
  return html`<div class="stack">
    <${Notice} tone="accent">${t("teach.running", {station: station.station})}<//>
    <div><${Button} onClick=${() => setAsking(true)}>${t("teach.go_offline")}<//></div>
    ${asking && html`<${Dialog} title=${t("teach.go_offline")} onClose=${() => setAsking(false)} footer=${html`
      <${Button} onClick=${() => setAsking(false)}>${t("common.cancel")}<//>
      <${Button} kind="danger" onClick=${goOffline}>${t("teach.go_offline")}<//>`}>
      <p>${t("teach.go_offline_text", {station: station.station})}</p><//>`}
  </div>`;
}
