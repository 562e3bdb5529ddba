// Measures what a page shows; every function is called from Python, by its name, and returns plain values.
// Nothing here changes the page, but for `hideText`, which says so.

const CONTROLS = "button, a[href], input:not([type=hidden]), select, textarea, summary, [tabindex], [contenteditable=true]";
const FIELDS = "input:not([type=hidden]):not([type=range]):not([type=checkbox]):not([type=radio]):not([type=file]), select, textarea";

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** A CSS colour as [red, green, blue, alpha], 0 to 255 each, whatever notation it has. */
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}

function isVisible(element) {
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true })
    && element.getClientRects().length > 0;
}

/** An element in words, for the message of a test that fails. */
function described(element) {
  const text = (element.getAttribute("aria-label") || element.textContent || element.value || "").trim().slice(0, 40);
  const name = element.getAttribute("class");
  return `<${element.localName}${element.id ? `#${element.id}` : ""}${name ? `.${name.split(" ").join(".")}` : ""}> ${text}`;
}

function isDisabled(element) {
  return element.closest(":disabled, [aria-disabled=true], [inert]") !== null;
}

/** Whether an element is seen all along a rectangle: nothing lies over it, and it is not scrolled away. */
function isOnTop(element, rectangle) {
  const {left, right, top, height} = rectangle;
  return [left + 1, (left + right) / 2, right - 1].every((x) => {
    const at = document.elementFromPoint(x, top + height / 2);
    return at !== null && (element.contains(at) || at.contains(element));
  });
}

function opacityOf(element) {
  let opacity = 1;
  for (let each = element; each; each = each.parentElement) opacity *= Number(getComputedStyle(each).opacity);
  return opacity;
}

function textOf(element, rectangle, text, style) {
  const colour = element instanceof SVGElement ? style.fill : style.webkitTextFillColor;
  const [red, green, blue, alpha] = rgba(colour);
  const size = parseFloat(style.fontSize) * (element instanceof SVGElement ? scaleOf(element) : 1);
  return {
    what: `${described(element)} "${text.trim().slice(0, 40)}"`,
    box: [rectangle.x, rectangle.y, rectangle.width, rectangle.height],
    colour: [red, green, blue],
    alpha: (alpha / 255) * opacityOf(element),
    large: size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700),
    size,
  };
}

function scaleOf(element) {
  const matrix = element.getScreenCTM?.();
  return matrix ? Math.hypot(matrix.a, matrix.b) : 1;
}

/** Every run of text that can be seen, with its place and colour. What is switched off may be pale. */
function texts() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !isVisible(element) || isDisabled(element)) continue;
    if (element.closest("option, .hidden-text")) continue; // Which the browser draws itself; which nobody sees.
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const rectangle of range.getClientRects()) {
      if (rectangle.width < 3 || rectangle.height < 3 || !isOnTop(element, rectangle)) continue;
      found.push(textOf(element, rectangle, walker.currentNode.data, getComputedStyle(element)));
    }
  }
  for (const field of document.querySelectorAll(FIELDS)) {
    const text = field.value || field.placeholder;
    if (!text || !isVisible(field) || isDisabled(field)) continue;
    const style = getComputedStyle(field, field.value ? null : "::placeholder");
    const box = field.getBoundingClientRect();
    const inner = new DOMRect(box.x + 6, box.y + 6, Math.max(box.width - 12, 3), Math.max(box.height - 12, 3));
    found.push(textOf(field, inner, text, style));
  }
  return found;
}

/** The places of fields to type into, whose edge must be seen. */
function fields() {
  const seen = (field) => isVisible(field) && !isDisabled(field) && isOnTop(field, field.getBoundingClientRect());
  return [...document.querySelectorAll(FIELDS)].filter(seen).map((field) => {
    const box = field.getBoundingClientRect();
    return { what: described(field), box: [box.x, box.y, box.width, box.height] };
  });
}

/** Leaves everything of a page but its text, so that an image of it shows what is behind the text. */
function hideText(hidden) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`*, *::before, *::after, *::placeholder {
    -webkit-text-fill-color: transparent !important; text-shadow: none !important; caret-color: transparent !important;
    text-decoration-color: transparent !important; transition: none !important; animation: none !important; }
    svg text, svg tspan { fill: transparent !important; }`);
  document.adoptedStyleSheets = hidden ? [sheet] : [];
}

/** What is wider than the page, or than the element that it stands in. */
function overflowing() {
  const root = document.scrollingElement;
  const found = [];
  const width = root.clientWidth;
  if (root.scrollWidth > width) found.push(`the page is ${root.scrollWidth} px wide, and the window ${width}`);
  for (const element of document.body.querySelectorAll("*")) {
    if (!isVisible(element) || element.closest("svg svg, [hidden]")) continue;
    const box = element.getBoundingClientRect();
    if (box.width < 3 || box.height < 3 || box.right <= 0 || element.closest(".hidden-text")) continue; // For screen readers.
    if ((box.right > width + 1 || box.left < -1) && !scrolls(element)) {
      found.push(`${described(element)} reaches from ${box.left.toFixed(0)} to ${box.right.toFixed(0)} of ${width} px`);
    }
    const isText = !(element instanceof SVGElement) && [...element.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const style = getComputedStyle(element);
    if (isText && style.display !== "inline" && style.overflowX !== "auto" && style.overflowX !== "scroll"
        && style.textOverflow !== "ellipsis" && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) {
      found.push(`the text of ${described(element)} needs ${element.scrollWidth} px and has ${element.clientWidth}`);
    }
  }
  return found;
}

/** Whether an element stands in something that is scrolled sideways on purpose, or is cut off by it. */
function scrolls(element) {
  for (let each = element.parentElement; each && each !== document.body; each = each.parentElement) {
    if (getComputedStyle(each).overflowX !== "visible") return true;
  }
  return false;
}

/** Controls that a finger cannot hit, of fewer than `least` pixels a side. Links within a sentence may be smaller. */
function smallTargets(least) {
  const found = [];
  for (const element of document.querySelectorAll("button, a[href], select, input:not([type=hidden]), textarea, summary, [role=button], [role=tab]")) {
    if (!isVisible(element) || isDisabled(element)) continue;
    const target = element.matches("input[type=checkbox], input[type=radio], input[type=file]") ? element.closest("label") ?? element : element;
    const box = target.getBoundingClientRect();
    const inSentence = element.localName === "a" && getComputedStyle(element).display === "inline";
    const isHidden = box.width <= 2 || box.height <= 2; // A skip link that shows on focus, a file field behind its label.
    if (!inSentence && !isHidden && (box.height < least - 0.5 || box.width < least - 0.5)) {
      found.push(`${described(element)}: ${box.width.toFixed(0)} x ${box.height.toFixed(0)} px`);
    }
  }
  return found;
}

/** Begins to note what gets the focus. */
function watchFocus() {
  window.reached = new Set();
  window.last = null;
}

/** What has the focus now: whether it came for the first time, is seen, and shows that it has the focus. */
function noteFocus() {
  const element = document.activeElement;
  if (element === null || element === document.body || element === document.documentElement) return null;
  const isNew = !window.reached.has(element);
  const stays = element === window.last; // Within a field for a date, the tab key goes from day to month.
  window.reached.add(element);
  window.last = element;
  const style = getComputedStyle(element);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && rgba(style.outlineColor)[3] > 0;
  const box = element.getBoundingClientRect();
  return {
    what: described(element),
    isNew: isNew || stays,
    shows: outlined || style.boxShadow !== "none",
    isSeen: isVisible(element) && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}

/** Controls that can be used and never had the focus. Of tabs and of radio buttons one stands for all: arrows move on. */
function notReached() {
  const stands = (element) => element.matches("[role=tab], [role=radio], [role=option], [role=gridcell], [role=menuitem]")
    && element.tabIndex < 0;
  const ofGroup = (element) => element.matches("input[type=radio]")
    && [...window.reached].some((other) => other.matches("input[type=radio]") && other.name === element.name);
  const dialog = document.querySelector("dialog[open]");
  return [...(dialog ?? document).querySelectorAll(CONTROLS)]
    .filter((element) => isVisible(element) && !isDisabled(element) && !window.reached.has(element))
    .filter((element) => !stands(element) && !ofGroup(element))
    .filter((element) => element.tabIndex >= 0 || element.matches("button, a[href], input, select, textarea"))
    .map(described);
}

/** Text that is a key of the texts, which were not found. */
function keysShown() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    if (/^(common|operator|record|recipes|teach|users)\.[\w.]+$/.test(text) || /\bundefined\b|\bNaN\b|\[object /.test(text)) found.push(text);
  }
  return found;
}

/** Whether headings and landmarks are those of one page. */
function structure() {
  const visible = (selector) => [...document.querySelectorAll(selector)].filter(isVisible);
  const levels = visible("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.localName[1]));
  return {
    language: document.documentElement.lang,
    title: document.title,
    mains: visible("main, [role=main]").length,
    levels,
    doubleIds: [...document.querySelectorAll("[id]")].map((each) => each.id).filter((id, at, all) => all.indexOf(id) !== at),
  };
}

window.measure = {
  texts, fields, hideText, overflowing, smallTargets, watchFocus, noteFocus, notReached, keysShown, structure,
};
