// The third step: what of an image is looked at. The crop and the ignored areas are drawn, or given as numbers.

import {t} from "../../lib/texts.js";
import {Notice, Segmented} from "../../lib/ui.js";
import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {Next, Title} from "./common.js";
import {act, imageOf} from "./server.js";
import {ViewCanvas} from "./view_canvas.js";
import {Crop, Ignored, Tiles} from "./view_fields.js";
import {plain, sameView} from "./view_geometry.js";

const SAVED_AFTER_MS = 600;

export function ViewStep({project, reload}) {
  const [view, setView] = useState(plain(project.view));
  const [tool, setTool] = useState("crop");
  const saving = useSaved(project, view, reload);
  const {frame} = project;
  const tools = ["crop", "ignore"].map((value) => ({value, label: t(`teach.tool.${value}`)}));
  return html`
    <${Title} step="view" />
    ${project.run && html`<${Notice} tone="accent">${t("teach.view_trained")}<//>`}
    <div class="view-editor">
      <div class="stack">
        <div class="row between">
          <${Segmented} label=${t("teach.tools")} options=${tools} value=${tool} onChange=${setTool} />
          <p class="small muted" aria-live="polite">${saving.problem ? "" : t(`teach.saving.${saving.state}`)}</p></div>
        ${saving.problem && html`<${Notice} tone="ng" alert>${saving.problem}<//>`}
        <${ViewCanvas} image=${imageOf(project.name, project.example, "full")} frame=${frame} view=${view} tool=${tool}
          label=${t("teach.view_label")} onChange=${setView} />
        <p class="muted small">${t(`teach.tool_hint.${tool}`)}</p>
      </div>
      <div class="stack">
        <${Crop} view=${view} frame=${frame} onChange=${setView} />
        <${Ignored} view=${view} frame=${frame} onChange=${setView} />
        <${Tiles} view=${view} frame=${frame} onChange=${setView} />
      </div>
    </div>
    <${Next} project=${project} to="train" />`;
}

/** Saves a view a moment after it was changed last, and at once where the step is left. */
function useSaved(project, view, reload) {
  const [saving, setSaving] = useState({state: "saved", problem: ""});
  const saved = useRef(plain(project.view));
  const latest = useRef(view);
  latest.current = view;
  const save = async () => {
    const sent = latest.current;
    if (sameView(sent, saved.current)) return;
    setSaving({state: "saving", problem: ""});
    try {
      await act(project.name, "view", {crop: sent.crop, ignore: sent.ignore, tiles: sent.tiles});
      saved.current = sent;
      setSaving({state: "saved", problem: ""});
      await reload();
    } catch (error) {
      setSaving({state: "saving", problem: error.text});
    }
  };
  useEffect(() => {
    const timer = setTimeout(save, SAVED_AFTER_MS);
    return () => clearTimeout(timer);
  }, [view]);
  useEffect(() => () => void save(), []);
  return saving;
}
