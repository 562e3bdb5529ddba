// The fifth step: what the detector promises, how true its INT8 form is, and what it says of parts it has never seen.

import {html, useState} from "../../vendor/htm-preact.js";
import {number, percent, t} from "../../lib/texts.js";
import {Tabs} from "../../lib/ui.js";
import {Figure, Next, Title, Waiting} from "./common.js";
import {Comparison} from "./comparison.js";
import {Drift} from "./drift.js";
import {Limits} from "./limits.js";
import {pathOf, useAnswer} from "./server.js";
import {Tries} from "./tries.js";
import {useWork} from "./work.js";

const PARTS = {limits: Limits, tries: Tries, drift: Drift, comparison: Comparison};

export function CheckStep({project, reload}) {
  const {value: result, problem, reload: again} = useAnswer(pathOf(project.name, "result"));
  const work = useWork(project, () => Promise.all([again(), reload()]));
  const [part, setPart] = useState("limits");
  const Part = PARTS[part];
  const tabs = Object.keys(PARTS).map((id) => ({id, label: t(`teach.check.${id}`)}));
  if (!result) {
    return html`<${Title} step="check" />
      <${Waiting} problem=${problem} />`;
  }
  return html`
    <${Title} step="check" />
    <${Figures} result=${result} />
    <div><${Tabs} label=${t("teach.step.check")} tabs=${tabs} current=${part} onSelect=${setPart}>
      <${Part} project=${project} result=${result} work=${work} /><//></div>
    <${Next} project=${project} to="release" />`;
}

/** What the released precision changes, on the back end where that is most: verdicts, and the map. */
export function lostIn({drift, artifact}) {
  const rows = drift.rows.filter((row) => row.precision === artifact.precision);
  const most = (name) => Math.max(0, ...rows.map((row) => row[name] ?? 0));
  return {flips: most("verdict_flips"), noise: most("noise")};
}

/** What counts, at a glance. */
export function Figures({result}) {
  const {threshold, tried, drift} = result;
  const {flips, noise} = lostIn(result);
  return html`<div class="figures">
    <${Figure} name=${t("teach.figure.bound")} value=${percent(threshold?.bound)}
      about=${threshold && t("teach.figure.bound_about",
        {count: threshold.good_images, expected: percent(threshold.expected)})} />
    <${Figure} name=${t("teach.figure.defects")} tone=${toneOf(tried.defect_ng, tried.defect)}
      value=${tried.defect ? t("teach.of", {part: tried.defect_ng, whole: tried.defect}) : "–"}
      about=${tried.defect ? t("teach.figure.defects_about") : t("teach.figure.none_tried")} />
    <${Figure} name=${t("teach.figure.golden")} tone=${toneOf(tried.golden_ok, tried.golden)}
      value=${tried.golden ? t("teach.of", {part: tried.golden_ok, whole: tried.golden}) : "–"}
      about=${tried.golden ? t("teach.figure.golden_about") : t("teach.figure.none_tried")} />
    <${Figure} name=${t("teach.figure.int8")} tone=${flips ? "error" : "ok"}
      value=${t("teach.of", {part: flips, whole: drift.images})}
      about=${t("teach.figure.int8_about", {noise: percent(noise), size: number(result.artifact.bytes / 1e6, 1)})} />
  </div>`;
}

const toneOf = (right, all) => (!all ? "" : right === all ? "ok" : "ng");
