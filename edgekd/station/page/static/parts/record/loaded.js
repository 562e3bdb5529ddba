// JSON of the server, loaded when it is needed and again now and then.

import {useEffect, useState} from "../../vendor/htm-preact.js";
import {get} from "../../lib/api.js";

/**
 * What a path answers. While it is loaded again, or another path is, what was there stays.
 * @param {string} path "" for nothing.
 * @param {number} [everyMs] After which it is loaded again, while the page is looked at; 0 for never.
 * @returns {{data: object|null, problem: string, busy: boolean, reload: () => void}}
 */
export function useLoaded(path, everyMs = 0) {
  const [state, setState] = useState({data: null, problem: "", busy: Boolean(path)});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let ended = !path;
    let timer = 0;
    async function load() {
      if (ended) return;
      if (!document.hidden || !everyMs) await once();
      if (everyMs && !ended) timer = setTimeout(load, everyMs);
    }
    async function once() {
      setState((before) => ({...before, busy: true}));
      try {
        const data = await get(path);
        if (!ended) setState({data, problem: "", busy: false});
      } catch (error) {
        if (!ended) setState((before) => ({...before, problem: error.text ?? String(error), busy: false}));
      }
    }
    load();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [path, everyMs, turn]);
  return {...state, reload: () => setTurn((before) => before + 1)};
}

/** A path with what is asked for; what is "", null or undefined is left out. */
export function withQuery(path, query) {
  const named = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(named).toString();
  return text ? `${path}?${text}` : path;
}
