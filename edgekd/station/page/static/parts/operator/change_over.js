// Another recipe: chosen from those released, or by typing its name or job.

import {html, useEffect, useState} from "../../vendor/htm-preact.js";
import {get, send} from "../../lib/api.js";
import {t} from "../../lib/texts.js";
import {Badge, Button, Dialog, Field, Notice, attempt} from "../../lib/ui.js";

/** @param {{view: object, onClose: () => void}} props */
export function ChangeOver({view, onClose}) {
  const [recipes, setRecipes] = useState(null);
  const [problem, setProblem] = useState("");
  const [wanted, setWanted] = useState("");
  const [chosen, setChosen] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    get("/api/recipes/released").then(setRecipes, (error) => setProblem(error.text));
  }, []);
  const found = matching(recipes ?? [], wanted.trim().toLowerCase());
  async function change(event) {
    event.preventDefault();
    const recipe = chosen ?? (found.length === 1 ? found[0] : null);
    if (!recipe) return;
    setBusy(true);
    const done = () => send("POST", `/api/stations/${view.station}/job`, {job: recipe.job});
    if (await attempt(done, t("operator.change_asked", {name: recipe.product || recipe.recipe}))) onClose();
    setBusy(false);
  }
  return html`<${Dialog} title=${t("operator.change_over")} onClose=${onClose}>
    <form class="stack" onSubmit=${change}>
      ${problem && html`<${Notice} tone="ng" alert>${problem}<//>`}
      <${Field} label=${t("operator.find_recipe")} value=${wanted} autofocus autocomplete="off"
        onInput=${(text) => (setWanted(text), setChosen(null))} />
      <div class="choices" role="radiogroup" aria-label=${t("operator.released_recipes")}>
        ${found.map((recipe) => html`<label class="choice" key=${recipe.job}>
          <input type="radio" name="job" value=${recipe.job}
            checked=${chosen ? chosen.job === recipe.job : found.length === 1}
            onChange=${() => setChosen(recipe)} />
          <span class="choice-job number">${recipe.job}</span>
          <span class="grow"><strong>${recipe.product || recipe.recipe}</strong><br />
            <span class="small muted">${recipe.recipe} · ${recipe.revision}</span></span>
          ${recipe.digest === view.recipe.recipe_digest && html`<${Badge} tone="accent">${t("operator.loaded")}<//>`}
        </label>`)}
        ${recipes && !found.length && html`<p class="empty">${t("operator.no_recipe")}</p>`}
      </div>
      <p class="small muted">${t("operator.change_means")}</p>
      <footer><${Button} onClick=${onClose}>${t("common.cancel")}<//>
        <${Button} kind="primary" type="submit" busy=${busy} disabled=${!chosen && found.length !== 1}>
          ${t("operator.change_now")}<//></footer>
    </form><//>`;
}

/** A number is a job; anything else is part of a name or a product. */
function matching(recipes, text) {
  if (/^\d+$/.test(text)) return recipes.filter((each) => String(each.job).startsWith(text));
  return recipes.filter((each) => `${each.recipe} ${each.product}`.toLowerCase().includes(text));
}
