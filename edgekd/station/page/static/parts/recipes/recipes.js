// All recipes: their revisions with who released them and why, and the one that is looked at.

import {useLoaded} from "../record/loaded.js";
import {t} from "../../lib/texts.js";
import {Notice, Table} from "../../lib/ui.js";
import {html, useEffect, useRef} from "../../vendor/htm-preact.js";
import {Status, chosenOf, nameOf, when} from "./common.js";
import {Revision} from "./revision.js";

const COLUMNS = [
  {key: "name", label: t("recipes.recipe"), render: nameOf},
  {key: "status", label: t("recipes.state"), render: (row) => html`<${Status} row=${row} />`},
  {key: "job", label: t("recipes.job"), numeric: true},
  {key: "product", label: t("recipes.product")},
  {key: "by", label: t("recipes.released_by"), render: (row) => row.released_by || "–"},
  {key: "at", label: t("recipes.released_at"), render: (row) => when(row.at)},
  {key: "reason", label: t("common.reason"), render: (row) => row.retired?.reason || row.reason || "–"},
];
const keyOf = ({id, revision}) => `${id}/${revision}`;

/** @param {{station: string, place: object, go: (some: object) => void}} props */
export default function Recipes({station, place, go}) {
  const {data: rows, problem, reload} = useLoaded("/api/recipes");
  const {data: state} = useLoaded("/api/state", 5000);
  const detail = useRef(null);
  const views = state?.stations ?? [];
  const loaded = views.find((view) => view.station === station)?.recipe;
  const chosen = rows?.length ? chosenOf(rows, place, loaded) : null;
  const open = (row) => go({recipe: row.id, revision: row.revision});
  useEffect(() => {
    if (place.recipe && chosen) detail.current?.scrollIntoView({block: "nearest"});
  }, [chosen && keyOf(chosen)]);
  if (problem) return html`<${Notice} tone="ng" alert>${problem}<//>`;
  if (!rows) return html`<p class="empty">${t("common.loading")}</p>`;
  return html`<div class="stack">
    <${Table} caption=${t("recipes.all")} columns=${COLUMNS} rows=${rows} rowKey=${keyOf} onRow=${open}
      selected=${chosen ? keyOf(chosen) : ""} empty=${t("recipes.none")} />
    <div ref=${detail}>${chosen && html`<${Revision} key=${keyOf(chosen)} row=${chosen} rows=${rows} views=${views}
      onChanged=${reload} onGo=${(next) => (reload(), open(next))} go=${go} />`}</div>
  </div>`;
}
