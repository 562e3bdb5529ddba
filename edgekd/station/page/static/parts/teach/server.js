// What the page asks the station for while a part is taught, and how long-running answers are kept up to date.

import {get, send} from "../../lib/api.js";
import {useCallback, useEffect, useRef, useState} from "../../vendor/htm-preact.js";

/** The path of a project, or of something in it. */
export const pathOf = (project, ...rest) =>
  ["/api/teach", project, ...rest].map((each, index) => (index ? encodeURIComponent(each) : each)).join("/");

/** The address of one of a project's images; `size` is "thumbnail" or "full". */
export const imageOf = (project, id, size) => pathOf(project, "images", String(id), size);

/** Does something with a project. */
export const act = (project, action, body = {}) => send("POST", pathOf(project, action), body);

/**
 * What a path answers, asked for again by `reload`, and every so often where `everyMs` is given.
 * @param {string} path "" asks for nothing.
 * @param {number} [everyMs] 0 for once.
 * @returns {{value: object|null, problem: object|null, reload: () => Promise<void>}}
 */
export function useAnswer(path, everyMs = 0) {
  const [answer, setAnswer] = useState({path: "", value: null, problem: null});
  const wanted = useRef(path);
  wanted.current = path;
  const reload = useCallback(async () => {
    if (!path) return;
    const next = await get(path).then((value) => ({path, value, problem: null}), (problem) => ({path, problem}));
    if (wanted.current !== path) return; // Another one was asked for meanwhile.
    setAnswer((last) => ({value: last.path === path ? last.value : null, ...next}));
  }, [path]);
  useEffect(() => {
    reload();
  }, [reload]);
  useEffect(() => {
    if (!everyMs) return undefined;
    const timer = setInterval(reload, everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);
  return answer.path === path ? {...answer, reload} : {value: null, problem: null, reload};
}
