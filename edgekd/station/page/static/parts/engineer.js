// The engineer's page: a tab for each thing that supervisors and engineers look after, of one station at a time.

import {html, useEffect, useState} from "../vendor/htm-preact.js";
import {may} from "../lib/api.js";
import {t} from "../lib/texts.js";
import {Notice, Select, Shell, Tabs, show, useSession} from "../lib/ui.js";
import {useLoaded} from "./record/loaded.js";

/** Each module's default export is a component that gets `station` and `go`; it is loaded when its tab is first opened. */
const TABS = [
  {id: "trends", role: "supervisor", label: "record.tab.trends", load: () => import("./record/trends.js")},
  {id: "results", role: "supervisor", label: "record.tab.results", load: () => import("./record/results.js")},
  {id: "threshold", role: "engineer", label: "recipes.tab.threshold", load: () => import("./recipes/threshold.js")},
  {id: "recipes", role: "engineer", label: "recipes.tab.recipes", load: () => import("./recipes/recipes.js")},
  {id: "timings", role: "supervisor", label: "record.tab.timings", load: () => import("./record/timings.js")},
  {id: "health", role: "supervisor", label: "record.tab.health", load: () => import("./record/health.js")},
  {id: "audit", role: "supervisor", label: "record.tab.audit", load: () => import("./record/audit.js")},
];

function Engineer() {
  const {data, problem} = useLoaded("/api/state");
  const [place, go] = usePlace();
  const names = data?.stations.map((view) => view.station) ?? [];
  const station = names.includes(place.station) ? place.station : names[0];
  const aside = names.length > 1 && html`<${Select} label=${t("common.station")} value=${station}
    options=${names.map((name) => ({value: name, label: name}))} onChange=${(name) => go({station: name})} />`;
  return html`<${Shell} page="engineer" title=${t("common.page.engineer")} role="supervisor" aside=${aside}>
    <h1 class="hidden-text">${t("common.page.engineer")}</h1>
    ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
    ${station && html`<${Content} station=${station} place=${place} go=${go} />`}<//>`;
}

function Content({station, place, go}) {
  const {role} = useSession();
  const tabs = TABS.filter((tab) => may(role, tab.role));
  const current = tabs.find((tab) => tab.id === place.tab) ?? tabs[0];
  return html`<${Tabs} label=${t("common.page.engineer")} tabs=${tabs.map(({id, label}) => ({id, label: t(label)}))}
    current=${current.id} onSelect=${(tab) => go({tab})}>
    <${Panel} key=${`${current.id} ${station}`} tab=${current} station=${station} place=${place} go=${go} /><//>`;
}

/** What a tab shows, once its module is here. */
function Panel({tab, station, place, go}) {
  const [Part, setPart] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    tab.load().then((module) => setPart(() => module.default), (error) => setProblem(String(error)));
  }, []);
  if (problem) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!Part) return html`<p class="empty">${t("common.loading")}</p>`;
  return html`<${Part} station=${station} place=${place} go=${go} />`;
}

/**
 * Where one is, kept in the address, so that it can be sent to somebody: `#tab=results&station=line`.
 * `go` changes some of it and leaves the rest; what is "" or null is taken out.
 */
function usePlace() {
  const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const [place, setPlace] = useState(read());
  useEffect(() => {
    const follow = () => setPlace(read());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const go = (some) => {
    const next = Object.entries({...read(), ...some}).filter(([, value]) => value !== "" && value != null);
    location.hash = new URLSearchParams(next).toString();
  };
  return [place, go];
}

show(Engineer);
