// Two revisions of a recipe beside each other: the fields, the detector and the files that differ.

import {useLoaded} from "../record/loaded.js";
import {t} from "../../lib/texts.js";
import {Dialog, Notice, Select, Table} from "../../lib/ui.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {inWords, nameOf, pathOf} from "./common.js";

/** @param {{row: object, rows: object[], onClose: () => void}} props */
export function Comparing({row, rows, onClose}) {
  const others = rows.filter(({id, revision}) => id === row.id && revision !== row.revision);
  const before = others.find(({revision}) => revision < row.revision) ?? others[0];
  const [other, setOther] = useState(String(before.revision));
  const {data, problem} = useLoaded(pathOf({id: row.id, revision: other}, "compare", row.revision));
  const columns = (what) => [
    {key: "field", label: t(`recipes.${what}`), render: (each) => html`<code>${each.field ?? each.name}</code>`},
    {key: "old", label: nameOf({id: row.id, revision: other}), render: (each) => inWords(each.old)},
    {key: "new", label: nameOf(row), render: (each) => inWords(each.new)},
  ];
  const files = [{key: "name", label: t("recipes.file")},
                 {key: "change", label: t("recipes.change"), render: (each) => t(`recipes.file_${each.change}`)}];
  const same = data && !data.recipe.length && !data.detector.length && !data.files.length;
  return html`<${Dialog} wide title=${t("recipes.compare_title", {name: nameOf(row)})} onClose=${onClose}>
    <div class="stack">
      <div class="recipe-narrow"><${Select} label=${t("recipes.compare_with")} value=${other} onChange=${setOther}
        options=${others.map(({revision}) => ({value: String(revision), label: nameOf({id: row.id, revision})}))} /></div>
      ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
      ${same && html`<p>${t("recipes.same")}</p>`}
      ${data?.recipe.length > 0 && html`<${Table} caption=${t("recipes.fields")} columns=${columns("field_name")} rows=${data.recipe} />`}
      ${data?.detector.length > 0 && html`<${Table} caption=${t("recipes.detector")} columns=${columns("field_name")} rows=${data.detector} />`}
      ${data?.files.length > 0 && html`<${Table} caption=${t("recipes.files")} columns=${files} rows=${data.files} />`}
    </div><//>`;
}
