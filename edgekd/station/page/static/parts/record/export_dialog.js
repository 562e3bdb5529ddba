// Taking results away: how much it would be, then a ZIP archive.

import {html, useState} from "../../vendor/htm-preact.js";
import {t} from "../../lib/texts.js";
import {Button, Check, Dialog, Icon, Notice} from "../../lib/ui.js";
import {bytes} from "./health.js";
import {useLoaded, withQuery} from "./loaded.js";

/** @param {{query: object, onClose: () => void}} props `query` is that of the search. */
export function ExportDialog({query, onClose}) {
  const [images, setImages] = useState(true);
  const {data, problem} = useLoaded(withQuery("/api/export/size", {...query, images}));
  const ready = data && !problem;
  const footer = html`<${Button} onClick=${onClose}>${t("common.close")}<//>
    ${ready && html`<a class="button primary" download href=${withQuery("/api/export", {...query, images})}><${Icon}
      name="download" />${t("record.download")}</a>`}`;
  return html`<${Dialog} title=${t("record.export")} onClose=${onClose} footer=${footer}>
    <div class="stack">
      <p>${t("record.export_means")}</p>
      <${Check} label=${t("record.with_images")} checked=${images} onChange=${setImages} />
      ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
      ${ready && html`<p role="status">${t("record.export_size", {count: data.results, size: bytes(data.image_bytes)})}</p>`}
    </div><//>`;
}
