// The second step: images of good parts, from the camera or from files, and what else there is to try.

import {t} from "../../lib/texts.js";
import {Notice, Segmented, Tabs, attempt} from "../../lib/ui.js";
import {send} from "../../lib/api.js";
import {html, useState} from "../../vendor/htm-preact.js";
import {Camera} from "./camera.js";
import {Next, Title} from "./common.js";
import {Files, Folder, Reviewed} from "./sources.js";
import {ImageGrid} from "./image_grid.js";
import {ImageViewer} from "./image_viewer.js";
import {pathOf, useAnswer} from "./server.js";
import {enough} from "./steps.js";
import {Wanted} from "./wanted.js";

const SOURCES = {camera: Camera, files: Files, folder: Folder, reviewed: Reviewed};
const TAKEN = ["good", "defect", "golden"];

export function ImagesStep({project, reload}) {
  const {value, problem, reload: again} = useAnswer(pathOf(project.name, "images"));
  const [source, setSource] = useState("camera");
  const [label, setLabel] = useState("good");
  const [opened, setOpened] = useState(null);
  const images = value?.images ?? [];
  const refresh = () => Promise.all([again(), reload()]);
  const relabel = (image, to) =>
    attempt(() => send("PATCH", pathOf(project.name, "images", String(image.id)), {label: to})).then(refresh);
  const Source = SOURCES[source];
  const missing = t("teach.wanted.too_few", {...project.wanted, count: project.wanted.more});
  const tabs = Object.keys(SOURCES).map((id) => ({id, label: t(`teach.source.${id}`)}));
  return html`
    <${Title} step="images" />
    ${problem && html`<${Notice} tone="ng" alert>${problem.text}<//>`}
    <${Wanted} project=${project} />
    <div class="card stack">
      ${source !== "reviewed" && html`<${Shows} label=${label} onChange=${setLabel} />`}
      <${Tabs} label=${t("teach.sources")} tabs=${tabs} current=${source} onSelect=${setSource}>
        <${Source} project=${project} label=${label} onTaken=${refresh} onOpen=${setOpened} /><//>
    </div>
    <${ImageGrid} project=${project} images=${images} onOpen=${setOpened} onLabel=${relabel} />
    <${Next} project=${project} to="view" blocked=${enough(project) ? "" : missing} />
    ${opened !== null && html`<${ImageViewer} project=${project} images=${images} id=${opened} onShow=${setOpened}
      onClose=${() => setOpened(null)} onLabel=${relabel} />`}`;
}

/** What the images that come next show. */
function Shows({label, onChange}) {
  return html`<div class="field">
    <span class="label">${t("teach.shows")}</span>
    <span class="hint">${t(`teach.shows_hint.${label}`)}</span>
    <div><${Segmented} label=${t("teach.shows")} value=${label} onChange=${onChange}
      options=${TAKEN.map((value) => ({value, label: t(`teach.label.${value}`)}))} /></div></div>`;
}
