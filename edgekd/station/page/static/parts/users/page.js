// Users, for admins: who there is, what each may do, and whom the page refuses.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {get, send} from "../../lib/api.js";
import {dateTime, t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Shell, Table, attempt, show, useMay, useSession} from "../../lib/ui.js";
import {UserForm} from "./user_form.js";

/** @typedef {{name: string, role: string, disabled: boolean, changed_utc_ms: number}} User */

function UsersPage() {
  return html`<${Shell} page="users" title=${t("common.page.users")} role="admin"><${Users} /><//>`;
}

function Users() {
  const [users, setUsers] = useState(/** @type {User[] | null} */ (null));
  const [open, setOpen] = useState(null); // {kind: "add" | "change" | "remove", user}
  const allowed = useMay("admin");
  const load = () => attempt(async () => setUsers((await get("/api/users")).users));
  useEffect(() => {
    if (allowed) load();
  }, [allowed]);
  const close = () => setOpen(null);
  const done = () => (close(), load());
  return html`<div class="stack">
    <div class="row between">
      <h1>${t("common.page.users")}</h1>
      <${Button} kind="primary" icon="plus" onClick=${() => setOpen({kind: "add"})}>${t("users.add")}<//>
    </div>
    <p class="muted">${t("users.about")}</p>
    ${users === null
      ? html`<p class="muted">${t("common.loading")}</p>`
      : html`<${UserTable} users=${users} onOpen=${setOpen} />`}
    ${open?.kind === "add" && html`<${UserForm} onDone=${done} onClose=${close} />`}
    ${open?.kind === "change" && html`<${UserForm} user=${open.user} onDone=${done} onClose=${close}
      onRemove=${() => setOpen({kind: "remove", user: open.user})} />`}
    ${open?.kind === "remove" && html`<${RemoveDialog} user=${open.user} onDone=${done} onClose=${close} />`}
  </div>`;
}

function UserTable({users, onOpen}) {
  const own = useSession().name;
  const columns = [
    {key: "name", label: t("common.name"), render: (user) => html`<strong>${user.name}</strong>
      ${user.name === own && html` <span class="muted">${t("users.you")}</span>`}`},
    {key: "role", label: t("users.role"), render: (user) => t(`common.role.${user.role}`)},
    {key: "state", label: t("users.state"), render: (user) => user.disabled
      ? html`<${Badge} tone="error">${t("users.refused")}<//>`
      : html`<${Badge} tone="ok">${t("users.active")}<//>`},
    {key: "changed", label: t("users.changed"), render: (user) => dateTime(user.changed_utc_ms)},
  ];
  return html`<${Table} caption=${t("users.all")} columns=${columns} rows=${users} rowKey=${(user) => user.name}
    onRow=${(user) => onOpen({kind: "change", user})} />`;
}

function RemoveDialog({user, onDone, onClose}) {
  const [busy, setBusy] = useState(false);
  async function remove() {
    setBusy(true);
    const path = `/api/users/${encodeURIComponent(user.name)}`;
    const removed = await attempt(() => send("DELETE", path), t("users.removed", {name: user.name}));
    setBusy(false);
    if (removed) onDone();
  }
  const footer = html`<${Button} onClick=${onClose}>${t("common.cancel")}<//>
    <${Button} kind="danger" busy=${busy} onClick=${remove}>${t("users.remove")}<//>`;
  return html`<${Dialog} title=${t("users.remove_of", {name: user.name})} onClose=${onClose} footer=${footer}>
    <p>${t("users.remove_about")}</p><//>`;
}

show(UsersPage);
