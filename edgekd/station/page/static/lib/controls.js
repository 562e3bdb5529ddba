// Buttons, fields, dialogs, tabs, tables, badges, notices and toasts, all by the keyboard and with a name.

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {Icon} from "./icons.js";
import {t} from "./texts.js";

let lastId = 0;

/** An id that no other element has. */
export function useId() {
  const id = useRef("");
  id.current ||= `id-${++lastId}`;
  return id.current;
}

/**
 * A button. `kind` is "primary", "danger", "quiet" or nothing; `label` names one that shows only an icon; a `busy`
 * one turns and cannot be pressed. Where `onClick` returns a promise, presses do nothing until it has ended: a double
 * press asks for one thing, also where the button meanwhile offers another. Everything else goes to the element.
 */
export function Button({kind = "", icon, label, busy = false, type = "button", onClick, children, class: name = "",
                        ...rest}) {
  const ended = useRef(true);
  function press(event) {
    if (!ended.current) return;
    const done = onClick(event);
    if (!(done instanceof Promise)) return;
    ended.current = false;
    done.finally(() => (ended.current = true));
  }
  return html`<button ...${rest} onClick=${onClick && press} type=${type} class=${`button ${kind} ${name}`} aria-label=${label}
    title=${label} aria-busy=${busy || undefined} disabled=${rest.disabled || busy}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}

/** Buttons of which one is chosen. @param {{options: {value, label}[], value, onChange, label: string}} props */
export function Segmented({options, value, onChange, label}) {
  return html`<div class="segmented" role="group" aria-label=${label}>
    ${options.map((each) => html`<button type="button" class="button" key=${each.value}
      aria-pressed=${each.value === value} onClick=${() => onChange(each.value)}>${each.label}</button>`)}
  </div>`;
}

/**
 * An input with its label; `hint` says what is wanted, `problem` what is wrong. `onInput` gets the text. With
 * `multiline` it is a text area; everything else goes to the element.
 */
export function Field({label, hint, problem, onInput, multiline = false, ...rest}) {
  const id = useId();
  const about = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ") || undefined;
  const props = {...rest, id, "aria-describedby": about, "aria-invalid": Boolean(problem),
                 onInput: (event) => onInput?.(event.target.value)};
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
    ${multiline ? html`<textarea ...${props} />` : html`<input ...${props} />`}
    ${problem && html`<span class="problem" id=${`${id}-problem`} role="alert">${problem}</span>`}
  </div>`;
}

/** A choice of one. @param {{label, hint, options: {value, label}[], value, onChange}} props */
export function Select({label, hint, options, value, onChange, ...rest}) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${hint && html`<span class="hint" id=${`${id}-hint`}>${hint}</span>`}
    <select ...${rest} id=${id} value=${value} aria-describedby=${hint ? `${id}-hint` : undefined}
      onChange=${(event) => onChange(event.target.value)}>
      ${options.map((each) => html`<option key=${each.value} value=${each.value}
        selected=${each.value === value}>${each.label}</option>`)}
    </select>
  </div>`;
}

/** Yes or no. @param {{label, checked: boolean, onChange}} props */
export function Check({label, checked, onChange, ...rest}) {
  return html`<label class="check">
    <input ...${rest} type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} />
    ${label}
  </label>`;
}

/**
 * A dialog above the page; Escape, its cross and a press beside it close it. It is there while it is rendered.
 * @param {{title: string, onClose: () => void, footer?, wide?: boolean, children}} props
 */
export function Dialog({title, onClose, footer, wide = false, children}) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.open && dialog.close(); // Gives the focus back to where it came from.
  }, []);
  const cancel = (event) => (event.preventDefault(), onClose());
  const beside = (event) => event.target === element.current && onClose();
  return html`<dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel}
    onMouseDown=${beside}>
    <header><h2 id=${id}>${title}</h2>
      <${Button} kind="quiet" icon="close" label=${t("common.close")} onClick=${onClose} /></header>
    <div class="body">${children}</div>
    ${footer && html`<footer>${footer}</footer>`}
  </dialog>`;
}

/** Tabs with one panel; arrow keys move. @param {{tabs: {id, label}[], current, onSelect, label, children}} props */
export function Tabs({tabs, current, onSelect, label, children}) {
  const list = useRef(null);
  const id = useId();
  function move(event) {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const ends = {Home: 0, End: tabs.length - 1};
    if (!step && !(event.key in ends)) return;
    event.preventDefault();
    const now = tabs.findIndex((tab) => tab.id === current);
    const next = step ? (now + step + tabs.length) % tabs.length : ends[event.key];
    onSelect(tabs[next].id);
    list.current.children[next].focus();
  }
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
      ${tabs.map((tab) => html`<button type="button" role="tab" key=${tab.id} id=${`${id}-${tab.id}`}
        aria-selected=${tab.id === current} aria-controls=${`${id}-panel`} tabindex=${tab.id === current ? 0 : -1}
        onClick=${() => onSelect(tab.id)}>${tab.label}</button>`)}
    </div>
    <div class="tab-panel" role="tabpanel" id=${`${id}-panel`} aria-labelledby=${`${id}-${current}`}>${children}</div>`;
}

/**
 * A table that scrolls within its box. A column shows `row[key]` or what `render(row)` makes; with `onRow` the first
 * column opens a row, and so does a press anywhere in it.
 * @param {{columns: {key, label, numeric?, render?}[], rows: object[], caption?, empty?, onRow?, rowKey?,
 *   selected?}} props
 */
export function Table({columns, rows, caption, empty, onRow, rowKey = (row, index) => index, selected}) {
  const cell = (column, row) => (column.render ? column.render(row) : row[column.key]);
  const open = (row) => (event) => (event.stopPropagation(), onRow(row));
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${caption}><table>
    ${caption && html`<caption>${caption}</caption>`}
    <thead><tr>${columns.map((column) => html`<th scope="col" key=${column.key}
      class=${column.numeric ? "numeric" : ""}>${column.label}</th>`)}</tr></thead>
    <tbody>
      ${rows.map((row, index) => html`<tr key=${rowKey(row, index)} class=${onRow ? "choosable" : ""}
        aria-selected=${selected === undefined ? undefined : selected === rowKey(row, index)}
        onClick=${onRow && open(row)}>
        ${columns.map((column, place) => html`<td key=${column.key} class=${column.numeric ? "numeric" : ""}>
          ${onRow && place === 0
            ? html`<button type="button" class="as-row" onClick=${open(row)}>${cell(column, row)}</button>`
            : cell(column, row)}</td>`)}
      </tr>`)}
    </tbody></table>
    ${!rows.length && html`<p class="empty">${empty ?? t("common.nothing")}</p>`}
  </div>`;
}

/** A short word in a pill; `tone` is "ok", "ng", "error", "accent" or nothing. */
export function Badge({tone = "", children}) {
  return html`<span class=${`badge ${tone}`}>${children}</span>`;
}

/** The tone of a verdict, a name of a class in base.css. */
export function toneOf(verdict) {
  return {OK: "ok", NG: "ng", ERROR: "error"}[verdict] ?? "";
}

/** A sentence that must be seen; with `alert` it is read out at once. */
export function Notice({tone = "", alert = false, children}) {
  return html`<div class=${`notice ${tone}`} role=${alert ? "alert" : undefined}>${children}</div>`;
}

const SHOWN_MS = 6000;
let toasts = [];
let showToasts = () => {};

/** Says what just happened, for some seconds; what went wrong stays until it is closed. */
export function toast(text, tone = "accent") {
  const one = {id: ++lastId, text, tone};
  toasts = [...toasts.filter((each) => each.text !== text).slice(-2), one];
  showToasts(toasts);
  if (tone !== "ng") setTimeout(() => forget(one.id), SHOWN_MS);
}

/** Does something and says what came of it: `done` as a toast, or why it failed. True where it was done. */
export async function attempt(action, done = "") {
  try {
    await action();
    if (done) toast(done, "ok");
    return true;
  } catch (error) {
    if (error.text !== "") toast(error.text ?? String(error), "ng"); // Somebody closed the login dialog.
    return false;
  }
}

function forget(id) {
  toasts = toasts.filter((each) => each.id !== id);
  showToasts(toasts);
}

/** Where toasts appear; the shell has it. */
export function Toasts() {
  const [shown, show] = useState(toasts);
  const element = useRef(null);
  useEffect(() => {
    showToasts = show;
    return () => (showToasts = () => {});
  }, []);
  useEffect(() => {
    const box = element.current; // A popover lies above dialogs too, and the newest lies on top.
    if (box.matches(":popover-open")) box.hidePopover();
    if (shown.length) box.showPopover();
  }, [shown]);
  return html`<div class="toasts" ref=${element} popover="manual" role="status" aria-live="polite">
    ${shown.map((each) => html`<div class=${`toast ${each.tone}`} key=${each.id}>
      <span class="grow">${each.text}</span>
      <${Button} kind="quiet" icon="close" label=${t("common.close")} onClick=${() => forget(each.id)} />
    </div>`)}
  </div>`;
}
