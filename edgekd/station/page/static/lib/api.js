// Requests to the page's server, and who is logged in.

/** @typedef {{name: string, role: string, csrf: string, idle_minutes: number, setup_needed: boolean}} Session */

const NOBODY = {name: "", role: "anyone", csrf: "", idle_minutes: 0, setup_needed: false};
const LINE = ["anyone", "operator", "supervisor", "engineer"];

/** @type {Session} */
let session = NOBODY;
let sessionListeners = new Set();
let askForLogin = null;
let loginUnderWay = null;

/* Whoever does nothing for a while is logged out. What a page asks by itself does not count as doing something. */
const ACTIVE_MS = 60_000;
let touched = Date.now();
for (const kind of ["pointerdown", "keydown", "wheel"]) {
  addEventListener(kind, () => (touched = Date.now()), {passive: true, capture: true});
}
setInterval(() => session.name && refreshSession().catch(() => {}), ACTIVE_MS);

/** What the server answered when it did not do what was asked; `text` is a sentence for people. */
export class RequestError extends Error {
  constructor(status, code, text, key = "") {
    super(text);
    this.status = status;
    this.code = code;
    this.text = text;
    this.key = key;
  }
}

/** The JSON that a path answers. Throws RequestError. */
export function get(path) {
  return request(path, "GET");
}

/**
 * Sends a change and returns the JSON of the answer. Throws RequestError.
 * @param {"POST"|"PUT"|"PATCH"|"DELETE"} method
 * @param {string} path
 * @param {object|FormData} [body] JSON, or a form with files.
 */
export function send(method, path, body) {
  return request(path, method, body);
}

/** Who is logged in, as last known. */
export function currentSession() {
  return session;
}

/** Calls back at once and whenever somebody logs in or out; returns how to stop. */
export function onSession(listener) {
  sessionListeners.add(listener);
  listener(session);
  return () => sessionListeners.delete(listener);
}

/** Whether a role may use what needs another; an admin looks after users and nothing of the line. */
export function may(role, needed) {
  if (needed === "anyone" || role === needed) return true;
  if (role === "admin" || needed === "admin") return false;
  return LINE.indexOf(role) >= LINE.indexOf(needed);
}

/** Asks the server who is logged in. */
export async function refreshSession() {
  setSession(await once("/api/session", "GET"));
  return session;
}

/** Logs in; throws RequestError where the name or password is wrong. */
export async function logIn(name, password) {
  if (!session.csrf) await refreshSession();
  await once("/api/login", "POST", {name, password});
  return refreshSession();
}

/** Logs out. */
export async function logOut() {
  await once("/api/logout", "POST");
  return refreshSession();
}

/** Names who asks people to log in: a function that returns a promise of whether somebody did. */
export function askForLoginBy(ask) {
  askForLogin = ask;
}

/** Opens the login dialog, one for all requests that wait; true once somebody is logged in. */
export function login() {
  if (!askForLogin) return Promise.resolve(false);
  loginUnderWay ??= askForLogin().finally(() => (loginUnderWay = null));
  return loginUnderWay;
}

async function request(path, method, body) {
  const changes = method !== "GET";
  if (changes && !session.csrf) await refreshSession();
  if (changes && !session.name && !(await login())) throw new RequestError(401, 0, ""); // Who changes something has a name.
  try {
    return await once(path, method, body);
  } catch (error) {
    const mistyped = error.key === "wrong_password"; // Of somebody who is logged in, and is told so where it was typed.
    if (error.status === 401 && !mistyped && (await login())) return once(path, method, body);
    if (error.status === 403 && (await sessionChanged())) return once(path, method, body);
    throw error;
  }
}

/**
 * Whether the same person has logged in anew in another tab: then the token of this one is old. What somebody sent is
 * not repeated in the name of another, who is told by the page from now on.
 */
async function sessionChanged() {
  const before = session;
  const now = await refreshSession();
  return now.csrf !== before.csrf && now.name === before.name;
}

async function once(path, method, body) {
  const headers = {Accept: "application/json"};
  if (method !== "GET") headers["X-CSRF-Token"] = session.csrf;
  if (Date.now() - touched <= ACTIVE_MS) headers["X-Active"] = "1";
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  const content = body === undefined || isForm ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, {method, headers, body: content, credentials: "same-origin", cache: "no-store"});
  } catch {
    throw new RequestError(0, 0, NOT_REACHED());
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer ?? {};
  const told = answer?.error;
  throw new RequestError(response.status, told?.code ?? 0, translate(told) ?? told?.text ?? `HTTP ${response.status}`,
                         told?.key);
}

/** Set by texts.js, which knows the language; gives nothing where it has no words for an error. */
let translate = () => undefined;
export function translateErrorsBy(translation) {
  translate = translation;
}

/** Likewise. */
let NOT_REACHED = () => "The station does not answer.";
export function sayNotReachedBy(text) {
  NOT_REACHED = text;
}

function setSession(next) {
  session = {...NOBODY, ...next};
  for (const listener of sessionListeners) listener(session);
}
