// The operator's page: what a station does, in the order in which somebody at the line wants to know it.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {decoded} from "../../lib/address.js";
import {connect} from "../../lib/live.js";
import {t} from "../../lib/texts.js";
import {Select, Shell, show, toast} from "../../lib/ui.js";
import {Advice} from "./advice.js";
import {ChangeOver} from "./change_over.js";
import {Counts, Facts} from "./facts.js";
import {LiveImage} from "./live_image.js";
import {PartDialog} from "./part_dialog.js";
import {Strip} from "./strip.js";
import {Verdict, faceOf} from "./verdict.js";
import {Alarms, Links, SelfTest} from "./watch.js";

function Operator() {
  const live = useLive();
  const [station, choose] = useStation(live?.names ?? []);
  const view = live?.views[station];
  const aside = live?.names.length > 1 && html`<${Stations} names=${live.names} station=${station} onChoose=${choose} />`;
  return html`<${Shell} page="operator" title=${station || t("common.page.operator")} aside=${aside}>
    <h1 class="hidden-text">${station || t("common.page.operator")}</h1>
    <div class=${`operator ${live && !live.linked ? "stale" : ""}`}>
      <${Verdict} live=${live} view=${view} />
      ${view && html`<${Station} key=${station} live=${live} view=${view} results=${live.recent[station] ?? []} />`}
    </div><//>`;
}

/** All but the verdict; without a link it can be read, and nothing in it pressed. */
function Station({live, view, results}) {
  const [opened, open] = useState(null);
  const [changing, setChanging] = useState(false);
  const changeOver = () => setChanging(true);
  const shown = faceOf(live, view).result;
  const place = opened ? results.findIndex((each) => each.result_id === opened.result_id) : -1;
  const beside = (step) => (place >= 0 && results[place + step] ? () => open(results[place + step]) : null);
  const last = shown && (results.find((each) => each.result_id === shown.result_id) ?? shown);
  return html`<div class="rest" inert=${!live.linked}>
      <${Advice} view=${view} shown=${shown} onChangeOver=${changeOver} />
      <${Facts} view=${view} onChangeOver=${changeOver} />
      <${LiveImage} result=${last} onOpen=${() => open(last)} />
      <${Strip} results=${results} onOpen=${open} />
      <${Counts} view=${view} />
      <${Alarms} view=${view} />
      <${SelfTest} view=${view} />
      <${Links} view=${view} />
    </div>
    ${opened && html`<${PartDialog} result=${place >= 0 ? results[place] : opened} newer=${beside(-1)} older=${beside(1)}
      onClose=${() => open(null)} />`}
    ${changing && html`<${ChangeOver} view=${view} onClose=${() => setChanging(false)} />`}`;
}

function Stations({names, station, onChoose}) {
  return html`<div class="stations"><${Select} label=${t("common.station")} value=${station} onChange=${onChoose}
    options=${names.map((name) => ({value: name, label: name}))} /></div>`;
}

/** What the stations do; a page of an older version than the server's loads itself anew. */
function useLive() {
  const [live, setLive] = useState(null);
  useEffect(() => {
    let version = "";
    const take = (next) => {
      const now = next.server?.edgekd ?? "";
      if (version && now && now !== version) location.reload();
      version = now || version;
      setLive(next);
    };
    return connect(take, (station, event) => event.name === "self_test" && tellOf(station, event.self_test));
  }, []);
  return live;
}

/** Says how a self-test ended; the stored one, which also runs by itself, only where it failed. */
function tellOf(station, {kind, passed}) {
  if (passed && kind === "stored") return;
  const outcome = t(passed ? "operator.passed" : "operator.failed");
  toast(`${station}: ${t(`operator.test.${kind}`)} – ${outcome}`, passed ? "ok" : "ng");
}

/** The station that the address names, as in "/#line-3", else the first. */
function useStation(names) {
  const [wanted, want] = useState(decoded(location.hash.slice(1)));
  useEffect(() => {
    const follow = () => want(decoded(location.hash.slice(1)));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const station = names.includes(wanted) ? wanted : names[0] ?? "";
  return [station, (name) => (location.hash = encodeURIComponent(name))];
}

show(Operator);
