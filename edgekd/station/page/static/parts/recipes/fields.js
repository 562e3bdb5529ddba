// The fields of a recipe: their order, kind and unit, and how a form's text becomes what the station stores.

import {numberIn} from "./common.js";

const TRIGGERS = ["free_run", "software", "hardware"];

/** Fields by group; `path` as recipe.toml has it. A field that is `free` may be left empty, for its default. */
export const GROUPS = [
  {id: "product", fields: [
    {path: "product", kind: "text", free: true},
    {path: "job", kind: "integer"},
    {path: "deadline_ms", kind: "number", unit: "ms"},
    {path: "preload", kind: "check"},
  ]},
  {id: "detector", fields: [
    {path: "detector.threshold", kind: "number", free: true},
    {path: "detector.threshold_origin", kind: "text", free: true},
    {path: "detector.grey_zone", kind: "pair", free: true},
    {path: "detector.ignored_checks", kind: "checks", options: ["size", "dark", "bright", "flat", "blurred", "frozen"]},
    {path: "detector.backend", kind: "text", free: true},
    {path: "detector.threads", kind: "integer", free: true},
  ]},
  {id: "self_tests", fields: [
    {path: "self_tests.every_hours", kind: "number", unit: "h"},
    {path: "self_tests.master_every_hours", kind: "number", unit: "h"},
    {path: "self_tests.master_parts", kind: "parts"},
  ]},
  {id: "stop", fields: [
    {path: "stop.ng_in_a_row", kind: "integer"},
    {path: "stop.errors_in_a_row", kind: "integer"},
    {path: "stop.reject_rate", kind: "percent"},
    {path: "stop.window", kind: "integer"},
  ]},
  {id: "keep", fields: [
    {path: "keep.ok_every", kind: "integer"},
    {path: "keep.ok_first", kind: "integer"},
    {path: "keep.ng_days", kind: "number", unit: "d"},
    {path: "keep.error_days", kind: "number", unit: "d"},
    {path: "keep.ok_days", kind: "number", unit: "d"},
  ]},
];

/** The fields of one camera. */
export const cameraFields = (name) => [
  {path: "trigger", kind: "select", options: TRIGGERS},
  {path: "line", kind: "text"},
  {path: "pixel_format", kind: "text", free: true},
  {path: "exposure_us", kind: "number", unit: "µs", free: true},
  {path: "gain", kind: "number", free: true},
  {path: "white_balance", kind: "pair", free: true},
  {path: "region", kind: "four", free: true},
  {path: "timeout_ms", kind: "number", unit: "ms"},
].map((field) => ({...field, path: `cameras.${name}.${field.path}`, label: `cameras.${field.path}`}));

/** All groups of a recipe, those of its cameras among them. */
export function groupsOf(recipe) {
  const cameras = Object.keys(recipe.cameras).map((name) => ({id: "camera", name, fields: cameraFields(name)}));
  return [...GROUPS.slice(0, 2), ...cameras, ...GROUPS.slice(2)];
}

/** The value of a field in a recipe. A camera's name may hold dots, so its path is not simply split. */
export function valueAt(recipe, path) {
  return stepsOf(path).reduce((branch, step) => branch?.[step], recipe) ?? null;
}

/** A value as a form shows it: text, true or false, or a list. */
export function shown(value, kind) {
  if (kind === "check") return Boolean(value);
  if (kind === "checks") return value ?? [];
  if (value === null) return "";
  if (kind === "parts") return value.map(([label, verdict]) => `${label} ${verdict}`).join("\n");
  if (kind === "percent") return String(Number((100 * value).toPrecision(12)));
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** What a form's text means; throws where it is no such value. `null` takes the default. */
export function meant(text, field) {
  if (field.kind === "check" || field.kind === "checks") return text;
  const plain = text.trim();
  if (field.kind === "parts") return plain ? plain.split("\n").map(partOf) : null;
  if (plain === "") {
    if (field.free || field.kind === "text") return null;
    throw new Error("empty");
  }
  if (field.kind === "text" || field.kind === "select") return plain;
  if (field.kind === "pair") return numbersOf(plain, 2);
  if (field.kind === "four") return numbersOf(plain, 4);
  return field.kind === "percent" ? numberOf(plain) / 100 : numberOf(plain);
}

/** Changes by path as an object of objects, as the station takes them. */
export function nested(changes) {
  const fields = {};
  for (const [path, value] of Object.entries(changes)) {
    const steps = stepsOf(path);
    const last = steps.pop();
    steps.reduce((branch, step) => (branch[step] ??= {}), fields)[last] = value;
  }
  return fields;
}

function stepsOf(path) {
  const parts = path.split(".");
  return parts[0] === "cameras" ? ["cameras", parts.slice(1, -1).join("."), parts.at(-1)] : parts;
}

function numberOf(text) {
  const value = numberIn(text);
  if (!Number.isFinite(value)) throw new Error("number");
  return value;
}

/** What may stand between numbers, the surest first: a comma without a blank may be that of a decimal number. */
const BETWEEN = [/\s*;\s*/, /\s*,\s+|\s+,\s*/, /\s+/, /,/];

function numbersOf(text, count) {
  const parts = text.split(BETWEEN.find((each) => each.test(text)));
  if (parts.length !== count) throw new Error(count === 2 ? "pair" : "four");
  return parts.map(numberOf);
}

function partOf(line) {
  const found = /^(.*\S)\s+(OK|NG)$/i.exec(line.trim());
  if (!found) throw new Error("parts");
  return [found[1], found[2].toUpperCase()];
}
