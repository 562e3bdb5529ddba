// What is around every page: where one may go, who is logged in, theme and language, the login dialog, toasts.

import {html, render, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {askForLoginBy, currentSession, logIn, login, logOut, may, onSession, refreshSession} from "./api.js";
import {Button, Dialog, Field, Notice, Segmented, Toasts, attempt} from "./controls.js";
import {Mark} from "./icons.js";
import {PasswordDialog} from "./password.js";
import {LANGUAGES, language, setLanguage, t} from "./texts.js";

const PAGES = [
  {id: "operator", path: "/", role: "anyone"},
  {id: "engineer", path: "/engineer", role: "supervisor"},
  {id: "teach", path: "/teach", role: "engineer"},
  {id: "users", path: "/users", role: "admin"},
];
const LAST_NAME = "edgekd.last-name";

/** Shows a page's component in <div id="page">. */
export function show(Page) {
  render(html`<${Page} />`, document.getElementById("page"));
}

/** Who is logged in, kept up to date. */
export function useSession() {
  const [session, set] = useState(currentSession());
  useEffect(() => onSession(set), []);
  return session;
}

/** Whether whoever is logged in may use what needs a role. */
export function useMay(needed) {
  return may(useSession().role, needed);
}

/**
 * A page with its header. `role` is what the page needs: who has less is asked to log in and sees nothing of it.
 * `aside` stands in the header beside the menu, such as a choice of station.
 * @param {{page: string, title: string, role?: string, aside?, children}} props
 */
export function Shell({page, title, role = "anyone", aside, children}) {
  const session = useSession();
  const [ready, setReady] = useState(false);
  useEffect(() => {
    document.title = `${title} · edgekd`;
  }, [title]);
  useEffect(() => {
    attempt(refreshSession).then(() => {
      setReady(true);
      if (!may(currentSession().role, role)) login();
    });
  }, []);
  const allowed = may(session.role, role);
  const skip = (event) => { // What stands behind the # of an address is the pages' own: a station, a tab, a step.
    event.preventDefault();
    document.getElementById("main").focus();
  };
  return html`<a class="skip button" href="#main" onClick=${skip}>${t("common.skip")}</a>
    <header class="shell-header">
      <a class="brand" href="/"><${Mark} />edgekd</a>
      <${Navigation} page=${page} role=${session.role} />
      <span class="grow"></span>
      ${aside}
      <${Menu} page=${page} session=${session} />
    </header>
    <main id="main" class=${`shell-main page-${page}`} tabindex="-1">
      ${allowed ? children : ready && html`<${NotAllowed} session=${session} role=${role} />`}
    </main>
    <${LoginDialog} />
    <${Toasts} />`;
}

function Navigation({page, role}) {
  const pages = PAGES.filter((each) => may(role, each.role));
  if (pages.length < 2) return null; // An operator has one page, and needs no way elsewhere.
  return html`<nav class="shell-nav" aria-label=${t("common.pages")}>
    ${pages.map((each) => html`<a key=${each.id} href=${each.path}
      aria-current=${each.id === page ? "page" : undefined}>${t(`common.page.${each.id}`)}</a>`)}
  </nav>`;
}

function NotAllowed({session, role}) {
  return html`<div class="stack">
    <${Notice} tone="accent">${t(`users.error.needs_${role}`)}<//>
    <div><${Button} kind="primary" icon="user" onClick=${() => login()}>
      ${session.name ? t("common.other_user") : t("common.log_in")}<//></div>
  </div>`;
}

function Menu({page, session}) {
  const [open, setOpen] = useState(false);
  const [newPassword, setNewPassword] = useState(false);
  const element = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event) => {
      if (event.key === "Escape" || (event.type === "pointerdown" && !element.current.contains(event.target))) {
        setOpen(false);
      }
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);
  const label = session.name || t("common.menu");
  return html`<div class="menu" ref=${element}>
    <${Button} kind="quiet" icon=${session.name ? "user" : "menu"} aria-expanded=${open}
      onClick=${() => setOpen(!open)}>${label}<//>
    ${open && html`<div class="menu-list"><${MenuContent} page=${page} session=${session}
      onDone=${() => setOpen(false)} onPassword=${() => setNewPassword(true)} /></div>`}
    ${newPassword && html`<${PasswordDialog} onClose=${() => setNewPassword(false)} />`}
  </div>`;
}

function MenuContent({page, session, onDone, onPassword}) {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "");
  function chooseTheme(next) {
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("edgekd.theme", next);
    setTheme(next);
  }
  const themes = ["", "light", "dark"].map((value) => ({value, label: t(`common.theme.${value || "system"}`)}));
  const languages = Object.entries(LANGUAGES).map(([value, label]) => ({value, label}));
  const user = session.name
    ? html`<p><strong>${session.name}</strong> · ${t(`common.role.${session.role}`)}</p>
        <${Button} onClick=${() => (onDone(), onPassword())}>${t("users.change_password")}<//>
        <${Button} onClick=${() => (onDone(), attempt(logOut, t("common.logged_out")))}>${t("common.log_out")}<//>`
    : html`<${Button} kind="primary" icon="user" onClick=${() => (onDone(), login())}>${t("common.log_in")}<//>`;
  return html`${user}
    <${Navigation} page=${page} role=${session.role} />
    <div class="field"><span class="label">${t("common.theme.label")}</span>
      <${Segmented} label=${t("common.theme.label")} options=${themes} value=${theme} onChange=${chooseTheme} /></div>
    <div class="field"><span class="label">${t("common.language")}</span>
      <${Segmented} label=${t("common.language")} options=${languages} value=${language} onChange=${setLanguage} /></div>`;
}

/** Opens when a request needs a name; one for the whole page. */
function LoginDialog() {
  const [waiting, setWaiting] = useState(null); // Whom to tell whether somebody logged in.
  useEffect(() => askForLoginBy(() => new Promise((resolve) => setWaiting({resolve}))), []);
  if (!waiting) return null;
  const finish = (done) => {
    setWaiting(null);
    waiting.resolve(done);
  };
  return html`<${Dialog} title=${t("common.log_in")} onClose=${() => finish(false)}>
    <${LoginForm} onDone=${() => finish(true)} /><//>`;
}

function LoginForm({onDone}) {
  const session = useSession();
  const [name, setName] = useState(localStorage.getItem(LAST_NAME) ?? "");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn(name.trim(), password);
      localStorage.setItem(LAST_NAME, name.trim());
      onDone();
    } catch (error) {
      setProblem(error.text);
      setPassword("");
      setBusy(false);
    }
  }
  return html`<form class="stack" onSubmit=${submit}>
    ${session.setup_needed && html`<${Notice} tone="accent"><p>${t("common.setup_needed")}
      <br /><code>edgekd users add NAME --role admin</code></p><//>`}
    <${Field} label=${t("common.name")} name="name" autocomplete="username" required value=${name} autofocus=${!name}
      autocapitalize="none" spellcheck=${false} onInput=${setName} />
    <${Field} label=${t("common.password")} hint=${t("common.password_hint")} name="password" type="password"
      autocomplete="current-password" required autofocus=${Boolean(name)} value=${password} problem=${problem}
      onInput=${setPassword} />
    <footer><${Button} kind="primary" type="submit" busy=${busy}>${t("common.log_in")}<//></footer>
  </form>`;
}

