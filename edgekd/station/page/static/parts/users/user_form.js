// The dialog that adds or changes a user.

import {html, useState} from "../../vendor/htm-preact.js";
import {send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Button, Check, Dialog, Field, Select, toast, useId} from "../../lib/ui.js";

const ROLES = ["operator", "supervisor", "engineer", "admin"];
const NO_PROBLEM = {field: "", text: ""};

/**
 * Adds a user, or changes the one that is given.
 * @param {{user?: {name: string, role: string, disabled: boolean}, onDone: () => void, onClose: () => void,
 *   onRemove?: () => void}} props
 */
export function UserForm({user, onDone, onClose, onRemove}) {
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState(user?.role ?? "operator");
  const [password, setPassword] = useState("");
  const [enabled, setEnabled] = useState(!user?.disabled);
  const [problem, setProblem] = useState(NO_PROBLEM);
  const [busy, setBusy] = useState(false);
  const problemOf = (field) => (problem.field === field ? problem.text : "");
  const form = useId();

  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      if (user) await send("PATCH", `/api/users/${encodeURIComponent(user.name)}`, changes());
      else await send("POST", "/api/users", {name: name.trim(), role, password});
      toast(t(user ? "users.changed_one" : "users.added", {name: name.trim()}), "ok");
      onDone();
    } catch (error) {
      setProblem({field: fieldOf(error.key), text: error.text});
      setBusy(false);
    }
  }

  /** What is no longer as it was; the server leaves the rest. */
  function changes() {
    const changed = {};
    if (role !== user.role) changed.role = role;
    if (password) changed.password = password;
    if (enabled === user.disabled) changed.disabled = !enabled;
    return changed;
  }

  const footer = html`${user && html`<${Button} kind="quiet" icon="bin" onClick=${onRemove}>${t("users.remove")}<//>`}
    <${Button} onClick=${onClose}>${t("common.cancel")}<//>
    <${Button} kind="primary" type="submit" form=${form} busy=${busy}>${t("common.save")}<//>`;
  const title = user ? t("users.change_of", {name: user.name}) : t("users.add");
  return html`<${Dialog} title=${title} onClose=${onClose} footer=${footer}>
    <form class="stack" id=${form} onSubmit=${submit}>
      ${!user && html`<${Field} label=${t("common.name")} hint=${t("users.name_hint")} name="name" required autofocus
        maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9_.\\-]*" autocomplete="off" autocapitalize="none"
        spellcheck=${false} value=${name} problem=${problemOf("name")} onInput=${setName} />`}
      <div>
        <${Select} label=${t("users.role")} value=${role} onChange=${setRole}
          options=${ROLES.map((value) => ({value, label: t(`common.role.${value}`)}))} />
        <p class="muted small role-hint" aria-live="polite">${t(`users.may.${role}`)}</p>
      </div>
      <${Field} label=${t(user ? "users.new_password" : "common.password")} type="password" name="new-password"
        hint=${`${user ? `${t("users.kept")} ` : ""}${t(role === "operator" ? "users.pin_hint" : "users.password_hint")}`}
        autocomplete="new-password" required=${!user} value=${password} problem=${problemOf("password")}
        onInput=${setPassword} />
      ${user && html`<${Check} label=${t("users.may_log_in")} checked=${enabled} onChange=${setEnabled} />`}
      ${problemOf("") && html`<p class="problem" role="alert">${problemOf("")}</p>`}
    </form><//>`;
}

/** The field that the server's answer is about; "" for all of the form. */
function fieldOf(key) {
  if (key === "name_taken") return "name";
  return /^(password|pin)_/.test(key) ? "password" : "";
}
