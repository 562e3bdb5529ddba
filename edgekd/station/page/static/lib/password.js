// Everybody's own password, in a dialog.

import {html, useState} from "../vendor/htm-preact.js";
import {currentSession, refreshSession, send} from "./api.js";
import {Button, Dialog, Field, toast} from "./controls.js";
import {t} from "./texts.js";

/** Changes the password of whoever is logged in. @param {{onClose: () => void}} props */
export function PasswordDialog({onClose}) {
  const role = currentSession().role;
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [problem, setProblem] = useState({field: "", text: ""});
  const [busy, setBusy] = useState(false);
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    try {
      await send("POST", "/api/password", {old, new: next});
      await refreshSession();
      toast(t("users.password_changed"), "ok");
      onClose();
    } catch (error) {
      setProblem({field: error.status === 422 ? "new" : "old", text: error.text});
      setBusy(false);
    }
  }
  const problemOf = (field) => (problem.field === field ? problem.text : "");
  return html`<${Dialog} title=${t("users.change_password")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <${Field} label=${t("users.old_password")} name="password" type="password" autocomplete="current-password"
        required autofocus value=${old} problem=${problemOf("old")} onInput=${setOld} />
      <${Field} label=${t("users.new_password")} name="new-password" type="password" autocomplete="new-password"
        hint=${t(role === "operator" ? "users.pin_hint" : "users.password_hint")}
        required value=${next} problem=${problemOf("new")} onInput=${setNext} />
      <footer><${Button} kind="primary" type="submit" busy=${busy}>${t("common.save")}<//></footer>
    </form><//>`;
}
