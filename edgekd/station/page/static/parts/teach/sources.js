// Images from elsewhere than the camera: files of this computer, a folder of the station, parts that people reviewed.

import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Icon, Notice, Select} from "../../lib/ui.js";
import {html, useRef, useState} from "../../vendor/htm-preact.js";
import {act, pathOf, useAnswer} from "./server.js";

const AT_ONCE = 8; // Files in a request: small enough to see it go on.

/** What came of taking images: how many there are now, and which were refused and why. */
function Outcome({outcome}) {
  if (!outcome) return null;
  const {added, refused} = outcome;
  return html`<div class="stack" aria-live="polite">
    <${Notice} tone=${added ? "ok" : "error"}>${t("teach.added", {count: added})}<//>
    ${refused.length > 0 && html`<${Notice} tone="error"><div><p>${t("teach.refused", {count: refused.length})}</p>
      <ul class="refused">${refused.slice(0, 5).map((each) => html`<li key=${each.name}>
        <strong>${each.name}</strong>: ${each.text}</li>`)}</ul></div><//>`}
  </div>`;
}

export function Files({project, label, onTaken}) {
  const input = useRef(null);
  const [over, setOver] = useState(false);
  const [progress, setProgress] = useState(null);
  const [outcome, setOutcome] = useState(null);
  async function upload(list) {
    const files = [...list];
    const all = {added: 0, refused: []};
    for (let sent = 0; sent < files.length; sent += AT_ONCE) {
      setProgress({sent, count: files.length});
      const form = new FormData();
      form.append("label", label);
      for (const file of files.slice(sent, sent + AT_ONCE)) form.append("files", file);
      try {
        const answer = await send("POST", pathOf(project.name, "uploads"), form);
        all.added += answer.added.length;
        all.refused.push(...answer.refused);
      } catch (error) {
        all.refused.push(...files.slice(sent).map(({name}) => ({name, text: error.text}))); // None of these was sent.
        break;
      }
    }
    setProgress(null);
    setOutcome(all);
    await onTaken();
  }
  const choose = (event) => {
    upload(event.target.files);
    event.target.value = ""; // So that the same files can be chosen again.
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    upload(event.dataTransfer.files);
  };
  return html`<div class="stack">
    <div class=${`drop ${over ? "over" : ""}`} onDrop=${drop} onDragLeave=${() => setOver(false)}
      onDragOver=${(event) => (event.preventDefault(), setOver(true))}>
      <${Icon} name="image" />
      <p>${t("teach.drop")}</p>
      <${Button} onClick=${() => input.current.click()} busy=${progress !== null}>${t("teach.choose_files")}<//>
      <input ref=${input} hidden type="file" multiple accept="image/*"
        aria-label=${t("teach.choose_files")} onChange=${choose} />
      ${progress && html`<progress max=${progress.count} value=${progress.sent} aria-label=${t("teach.uploading")} />`}
    </div>
    <${Outcome} outcome=${outcome} /></div>`;
}

export function Folder({project, label, onTaken}) {
  const {value, problem} = useAnswer("/api/teach");
  const [folder, setFolder] = useState("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState(null);
  const folders = value?.import_folders ?? [];
  const chosen = folder || folders[0]?.name;
  async function take() {
    setBusy(true);
    const answer = await act(project.name, "folder", {folder: chosen, label})
      .catch((error) => ({added: [], refused: [{name: chosen, text: error.text}]}));
    setOutcome({added: answer.added.length, refused: answer.refused});
    setBusy(false);
    await onTaken();
  }
  if (problem) return html`<${Notice} tone="ng">${problem.text}<//>`;
  if (!folders.length) return html`<p class="muted">${t("teach.no_folders")}</p>`;
  return html`<div class="stack">
    <${Select} label=${t("teach.folder")} hint=${t("teach.folder_hint")} value=${chosen} onChange=${setFolder}
      options=${folders.map((each) => ({value: each.name, label: t("teach.folder_option", each)}))} />
    <div><${Button} kind="primary" busy=${busy} onClick=${take}>${t("teach.take_folder")}<//></div>
    <${Outcome} outcome=${outcome} /></div>`;
}

/** What operators said of parts on the line: really good ones widen what is normal, really bad ones are tried. */
export function Reviewed({project, onTaken}) {
  const [busy, setBusy] = useState("");
  const [outcome, setOutcome] = useState(null);
  const take = (label) => async () => {
    setBusy(label);
    const answer = await act(project.name, "reviewed", {label})
      .catch((error) => ({added: [], refused: [{name: t(`teach.reviewed_${label}`), text: error.text}]}));
    setOutcome({added: answer.added.length, refused: answer.refused});
    setBusy("");
    await onTaken();
  };
  return html`<div class="stack">
    <p class="muted">${t("teach.reviewed_hint")}</p>
    <div class="row">${["good", "bad"].map((label) => html`<${Button} key=${label} busy=${busy === label}
      onClick=${take(label)}>${t(`teach.reviewed_${label}`)}<//>`)}</div>
    <${Outcome} outcome=${outcome} /></div>`;
}
