// What the stations do, as it happens: one websocket, a snapshot first, then numbered changes.

const SILENT_MS = 3000; // The server pings every 2 s; after this nothing on the page may be believed.
const RETRY_MS = [250, 500, 1000, 2000, 4000];
const RECENT = 20;
const KEPT_LONGER = 12; // NG and ERROR beyond the newest, so that they can still be opened.

/**
 * @typedef {object} Live What is known now.
 * @property {boolean} linked Whether the station was heard within the last 3 s.
 * @property {object|null} server Its versions.
 * @property {string[]} names Of the stations, in the configuration's order.
 * @property {Object<string, object>} views By station.
 * @property {Object<string, object[]>} recent Results by station, the newest first; `live` is set of those that came
 *   while this page followed, whose images the station shows.
 */

/**
 * Follows the stations.
 * @param {(live: Live) => void} onChange Called with each change.
 * @param {(station: string, event: object) => void} [onEvent] Called with each event, after its change.
 * @returns {() => void} Ends it.
 */
export function connect(onChange, onEvent = () => {}) {
  /** @type {Live} */
  let live = {linked: false, server: null, names: [], views: {}, recent: {}};
  let socket = null;
  let expected = 0;
  let failures = 0;
  let silence = 0;
  let retry = 0;
  let ended = false;

  function open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.onmessage = (message) => take(JSON.parse(message.data));
    socket.onclose = again;
    heard(false);
  }

  function take(message) {
    if (message.kind === "snapshot") {
      failures = 0;
      expected = message.n + 1;
      live = snapshot(message);
    } else if (message.kind === "change") {
      if (message.n !== expected) return again(); // Something was missed: a new socket brings a new snapshot.
      expected += 1;
      live = changed(live, message);
    }
    heard(true);
    onChange(live);
    if (message.kind === "change" && message.event) onEvent(message.station, message.event);
  }

  function heard(something) {
    clearTimeout(silence);
    silence = setTimeout(again, SILENT_MS);
    if (something && !live.linked) live = {...live, linked: true};
  }

  function again() {
    if (ended) return;
    drop();
    if (live.linked || failures === 0) {
      live = {...live, linked: false};
      onChange(live);
    }
    retry = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
  }

  function drop() {
    clearTimeout(silence);
    clearTimeout(retry);
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
  }

  open();
  return () => {
    ended = true;
    drop();
  };
}

function snapshot(message) {
  return {
    linked: true,
    server: message.server,
    names: message.stations.map((view) => view.station),
    views: Object.fromEntries(message.stations.map((view) => [view.station, view])),
    recent: message.recent ?? {},
  };
}

function changed(live, {station, view, event}) {
  const next = {...live};
  if (view) next.views = {...live.views, [station]: view};
  const shown = next.views[station];
  if (event?.name === "result" && shown && (shown.last?.result_id ?? 0) < event.result.result_id) {
    next.views = {...next.views, [station]: {...shown, last: event.result}}; // The view that holds it may come later.
  }
  const before = live.recent[station] ?? [];
  const after = event ? afterEvent(before, event) : before;
  if (after !== before) next.recent = {...live.recent, [station]: after};
  return next;
}

function afterEvent(results, event) {
  if (event.name === "result") return withResult(results, {...event.result, live: true});
  const index = results.findIndex((each) => each.result_id === event.result_id);
  if (index < 0) return results;
  if (event.name === "review") return replaced(results, index, {reviews: [...(results[index].reviews ?? []), event.review]});
  if (event.name === "stored") return replaced(results, index, {images: {...results[index].images, [event.image]: true}});
  return results;
}

function replaced(results, index, changes) {
  return results.map((each, place) => (place === index ? {...each, ...changes} : each));
}

/** Results with one more, or with a newer form of one; NG and ERROR stay longer than OK. */
export function withResult(results, result) {
  const known = results.findIndex((each) => each.result_id === result.result_id);
  if (known >= 0) return replaced(results, known, result);
  const all = [result, ...results];
  const older = all.slice(RECENT).filter((each) => each.verdict !== "OK");
  return [...all.slice(0, RECENT), ...older.slice(0, KEPT_LONGER)];
}
