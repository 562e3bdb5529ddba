// One image, large, with what it shows; arrows go on to the next, letters say what it shows.

import {t} from "../../lib/texts.js";
import {Button, Dialog, Segmented} from "../../lib/ui.js";
import {html, useEffect} from "../../vendor/htm-preact.js";
import {Picture} from "./common.js";
import {Hints} from "./hints.js";

const KEYS = {g: "good", x: "out", d: "defect", r: "golden"};

/**
 * @param {{project, images: object[], id: number, onShow: (id: number) => void, onClose: () => void,
 *   onLabel: (image, label: string) => void}} props
 */
export function ImageViewer({project, images, id, onShow, onClose, onLabel}) {
  const place = images.findIndex((each) => each.id === id);
  const image = images[place];
  const go = (by) => images[place + by] && onShow(images[place + by].id);
  useEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const dialog = event.target.closest("dialog");
      if (dialog && !dialog.querySelector(".viewer")) return; // The login's, where a session has ended.
      if (event.key === "ArrowLeft") go(-1);
      else if (event.key === "ArrowRight") go(1);
      else if (KEYS[event.key] && image) onLabel(image, KEYS[event.key]);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  if (!image) return null;
  const options = Object.values(KEYS).map((value) => ({value, label: t(`teach.label.${value}`)}));
  return html`<${Dialog} wide title=${t("teach.image", {id: String(id)})} onClose=${onClose} footer=${html`
      <${Button} icon="left" disabled=${place === 0} onClick=${() => go(-1)} label=${t("teach.previous_image")} />
      <span class="muted number">${place + 1} / ${images.length}</span>
      <${Button} icon="right" disabled=${place === images.length - 1} onClick=${() => go(1)}
        label=${t("teach.next_image")} />`}>
    <div class="viewer">
      <${Picture} project=${project} id=${id} size="full" />
      <div class="stack">
        <div class="field"><span class="label">${t("teach.this_shows")}</span>
          <${Segmented} label=${t("teach.this_shows")} value=${image.label} options=${options}
            onChange=${(label) => onLabel(image, label)} /></div>
        <p class="muted small">${t(`teach.shows_hint.${image.label}`)}</p>
        <${Hints} hints=${image.hints} />
        <p class="muted small">${image.name} · ${image.width} × ${image.height}</p>
        <p class="muted small keys">${t("teach.viewer_keys")}</p>
      </div></div><//>`;
}
