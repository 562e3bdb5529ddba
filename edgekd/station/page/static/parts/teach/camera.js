// Images from the station's camera: at a press, or one every so often; what is wrong is told while the part lies there.

import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Dialog, Notice, attempt} from "../../lib/ui.js";
import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {Hints} from "./hints.js";
import {act, imageOf, useAnswer} from "./server.js";

const STATE_MS = 2000;
const PAUSES_MS = {series: 1500, live: 400}; // A series leaves time to lay down the next part.

export function Camera({project, label, onTaken, onOpen}) {
  const {value, reload} = useAnswer("/api/state", STATE_MS);
  const station = value?.stations.find((each) => each.station === project.station);
  const free = ["OFFLINE", "NO_JOB"].includes(station?.state.state);
  const [shown, setShown] = useState(null); // The image, what is wrong with it, and its number once it is kept.
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [going, setGoing] = useState(""); // "series" or "live" while it goes on.

  const turn = useRef(0);
  const once = async (action) => {
    turn.current += 1;
    const mine = turn.current;
    const next = await action().then((image) => ({image, text: ""}), (error) => ({text: error.text ?? String(error)}));
    if (mine !== turn.current) return; // Another image was asked for meanwhile, and is the one to be shown.
    if (next.image) setShown(next.image);
    else setGoing("");
    setProblem(next.text);
  };
  const keep = async () => {
    const {image} = await act(project.name, "collect", {label});
    await onTaken();
    return {src: imageOf(project.name, image.id, "full"), hints: image.hints, id: image.id};
  };
  const look = async () => {
    const {snap, hints} = await send("POST", `/api/stations/${encodeURIComponent(project.station)}/snap`, {});
    return {src: `/api/snaps/${encodeURIComponent(snap)}`, hints, id: null};
  };
  const taking = useRef(false); // At once, while what is rendered follows later.
  useAgainAndAgain(PAUSES_MS[going], async () => taking.current || once(going === "series" ? keep : look));
  const take = async () => {
    taking.current = true;
    setBusy(true);
    setGoing("");
    await once(keep);
    taking.current = false;
    setBusy(false);
  };
  const toggle = (what) => () => setGoing(going === what ? "" : what);

  if (station && !free) return html`<${Running} station=${station} onChanged=${reload} />`;
  return html`<div class="camera">
    <div class="shot">${shown ? html`<${Shot} shown=${shown} onOpen=${onOpen} />`
      : html`<p class="empty">${t("teach.no_shot")}</p>`}</div>
    <div class="stack">
      <${Button} kind="primary" class="shutter" icon="camera" busy=${busy} disabled=${!station} onClick=${take}>
        ${t("teach.take")}<//>
      <div class="row">${["series", "live"].map((what) => html`<${Button} key=${what} disabled=${!station || busy}
        icon=${going === what ? "stop" : "play"} aria-pressed=${going === what} onClick=${toggle(what)}>
        ${t(`teach.${what}`)}<//>`)}</div>
      <p class="muted small">${t(`teach.going.${going || "none"}`)}</p>
      <div aria-live="polite" class="stack">
        ${problem ? html`<${Notice} tone="ng">${problem}<//>` : shown && html`<${Told} shown=${shown} />`}</div>
    </div></div>`;
}

/** Does something again and again, with a pause between; `pauseMs` undefined ends it. */
function useAgainAndAgain(pauseMs, action) {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    if (!pauseMs) return undefined;
    let timer = 0;
    let ended = false;
    const next = async () => {
      await latest.current();
      if (!ended) timer = setTimeout(next, pauseMs);
    };
    next();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [pauseMs]);
}

/** The last image; one that was kept opens. */
function Shot({shown: {src, id}, onOpen}) {
  if (id === null) return html`<img src=${src} alt=${t("teach.live")} />`;
  return html`<button type="button" class="as-image" onClick=${() => onOpen(id)}>
    <img src=${src} alt=${t("teach.image", {id: String(id)})} /></button>`;
}

/** What is wrong with it, or that nothing is. */
function Told({shown: {hints, id}}) {
  if (hints.length) {
    return html`<${Hints} hints=${hints} />
      ${id !== null && html`<p class="muted small">${t("teach.hints_hint")}</p>`}`;
  }
  const text = id === null ? t("teach.live_right") : t("teach.taken", {id: String(id)});
  return html`<${Notice} tone="ok">${text}<//>`;
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
