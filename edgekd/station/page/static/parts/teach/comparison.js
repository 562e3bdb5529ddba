// The new detector beside the one that judges now, on the same recorded images: what it would have changed.

import {dateTime, number, percent, t} from "../../lib/texts.js";
import {Button, Dialog, Select, Table} from "../../lib/ui.js";
import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {VerdictLine} from "./common.js";
import {pathOf, useAnswer} from "./server.js";
import {WorkLine} from "./work.js";

export function Comparison({project, work}) {
  const {value} = useAnswer("/api/recipes/released");
  const {value: found, reload} = useAnswer(project.run.compared ? pathOf(project.name, "comparison") : "");
  const [chosen, setChosen] = useState("");
  useEffect(() => {
    reload();
  }, [work.running]);
  const released = value ?? [];
  const name = (each) => `${each.recipe}/${each.revision}`;
  const own = released.find((each) => each.job === project.job) ?? released[0];
  const other = released.find((each) => name(each) === chosen) ?? own;
  const title = (each) => [name(each), each.product].filter(Boolean).join(" · ");
  const options = released.map((each) => ({value: name(each), label: title(each)}));
  if (value && !released.length) return html`<p class="muted">${t("teach.no_release_yet")}</p>`;
  return html`<div class="stack">
    <p>${t("teach.compare_about")}</p>
    <div class="row bottom">
      ${other && html`<div class="narrow"><${Select} label=${t("teach.compare_with")} value=${name(other)}
        onChange=${setChosen} options=${options} /></div>`}
      <${Button} disabled=${!other || work.running}
        onClick=${() => work.begin("compare", {with: name(other)})}>
        ${t(found ? "teach.compare_again" : "teach.compare")}<//>
    </div>
    <${WorkLine} work=${work} kinds=${["compare"]} />
    ${found && html`<${Found} found=${found} />`}
  </div>`;
}

function Found({found}) {
  const {old, counts, changed, reviewed} = found;
  const [opened, setOpened] = useState(null);
  const verdict = (name) => html`<${VerdictLine} verdict=${name} />`;
  const columns = [
    {key: "part", label: t("teach.column.part"), render: (row) => t("teach.result", {id: String(row.result_id)})},
    {key: "time", label: t("teach.column.time"), render: (row) => dateTime(row.time_utc_ms)},
    {key: "old", label: t("teach.column.old"), render: (row) => verdict(row.old)},
    {key: "new", label: t("teach.column.new"), render: (row) => verdict(row.new)},
    {key: "severities", label: t("teach.column.severity"), numeric: true,
     render: (row) => `${number(row.severity_old, 2)} → ${number(row.severity_new, 2)}`},
    {key: "reviews", label: t("teach.column.review"), render: (row) => row.reviews.length
      ? t(`teach.review.${row.reviews.at(-1)}`) : "–"},
  ];
  return html`<div class="stack">
    <p class="headline"><strong>${t("teach.would_change", {changed: changed.length, count: found.n})}</strong></p>
    ${reviewed.n > 0 && html`<p>${t("teach.reviewed_right",
      {count: reviewed.n, old: reviewed.old_right, new: reviewed.new_right})}</p>`}
    <${Table} caption=${t("teach.counts_caption", {count: found.n})} rows=${["old", "new"]} rowKey=${(row) => row}
      columns=${[
      {key: "which", label: t("teach.column.detector"), render: (row) => (row === "old"
        ? t("teach.released_one", {name: `${old.id}/${old.revision}`}) : t("teach.new_one"))},
      ...["OK", "NG", "ERROR"].map((key) => ({key, label: t(`common.verdict.${key}`), numeric: true,
        render: (row) => `${number(counts[row][key])} (${percent(counts[row][key] / found.n)})`})),
    ]} />
    ${changed.length > 0 && html`<${Table} caption=${t("teach.changed_caption")} columns=${columns} rows=${changed}
      rowKey=${(row) => row.result_id} onRow=${setOpened} />`}
    ${opened && html`<${Changed} entry=${opened} onClose=${() => setOpened(null)} />`}
  </div>`;
}

/** A recorded part of which the two say otherwise. */
function Changed({entry, onClose}) {
  const image = `/api/results/${entry.result_id}/images/original`;
  return html`<${Dialog} wide title=${t("teach.result", {id: String(entry.result_id)})} onClose=${onClose}>
    <div class="viewer">
      <img src=${image} alt=${t("teach.result", {id: String(entry.result_id)})} />
      <dl class="facts">${["old", "new"].map((which) => html`<div key=${which}><dt>${t(`teach.column.${which}`)}</dt>
        <dd><${VerdictLine} verdict=${entry[which]} severity=${entry[`severity_${which}`]} /></dd></div>`)}
      </dl></div><//>`;
}
