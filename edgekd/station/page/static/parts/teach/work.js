// The station's long work for a part: how far it is, and something to show of it wherever it was begun.

import {duration, t} from "../../lib/texts.js";
import {Button, Notice, attempt} from "../../lib/ui.js";
import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {endingOf} from "./outcome.js";
import {act, pathOf, useAnswer} from "./server.js";

const POLL_MS = 1000, IDLE_MS = 10000;

/**
 * The work of a project, one at a time.
 * @param {object} project
 * @param {() => Promise<void>} onChange Called when work was begun, and when it has ended.
 * @returns {{progress: object|null, problem: object|null, running: boolean,
 *   begin: (action: string, body?: object) => Promise<void>, stop: () => Promise<void>}}
 */
export function useWork(project, onChange) {
  const [pace, setPace] = useState(POLL_MS);
  const {value: progress, problem, reload} = useAnswer(project.work ? pathOf(project.name, "progress") : "", pace);
  const running = progress?.running ?? false;
  const before = useRef(false);
  useEffect(() => {
    setPace(running ? POLL_MS : IDLE_MS);
    if (before.current && !running) onChange();
    before.current = running;
  }, [running]);
  const ask = async (action, body, done) => {
    await attempt(() => act(project.name, action, body), done);
    await reload();
    await onChange();
  };
  return {progress, problem, running, begin: ask, stop: () => ask("stop", {}, t("teach.stopping"))};
}

/** Work that goes on, or how it failed, where its kind is one of some. */
export function WorkLine({work, kinds}) {
  const {progress, running, stop} = work;
  if (!progress || !kinds.includes(progress.kind)) {
    const what = running ? t(`teach.kind.${progress.kind}`) : "";
    return running && html`<${Notice} tone="accent">${t("teach.other_work", {what})}<//>`;
  }
  if (progress.state === "failed") return html`<${Notice} tone="ng" alert>${progress.error}<//>`;
  if (progress.ending) return html`<${Notice} tone="error" alert>${endingOf(progress.ending)}<//>`;
  if (!running) return null;
  return html`<${Notice} tone="accent"><div class="grow stack" aria-live="polite">
    <div class="row between"><span>${t(`teach.kind.${progress.kind}`)}
      ${progress.left_s > 0 && html`
        <span class="muted">${t("teach.left", {time: duration(progress.left_s)})}</span>`}</span>
      <${Button} kind="quiet" icon="stop" onClick=${stop}>${t("teach.stop")}<//></div>
    <progress max=${progress.total || 1} value=${progress.total ? progress.done : undefined}
      aria-label=${t(`teach.kind.${progress.kind}`)} /></div><//>`;
}
