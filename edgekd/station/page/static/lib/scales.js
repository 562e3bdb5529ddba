// From values to places in a chart, and round numbers for its axes.

/** Maps from..to onto low..high. */
export function scale(from, to, low, high) {
  const span = to - from || 1;
  const place = (value) => low + ((value - from) / span) * (high - low);
  place.invert = (position) => from + ((position - low) / (high - low)) * span;
  return place;
}

/** Some round values between two: 1, 2 or 5 times a power of ten apart. */
export function ticks(from, to, count = 5) {
  if (!(to > from)) return [from];
  const raw = (to - from) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((each) => each * power >= 0.8 * raw) * power; // Rather one more than too few.
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, index) => (first + index) * step);
}

/** The lowest and highest of some numbers, those that are none left out; [0, 1] where there are none. */
export function extent(values) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

const ALONE = 3; // Pixels to each side of a point that has no neighbour, which a line would not show.

/** Points as an SVG path; a value that is none interrupts it. */
export function path(points, x, y) {
  const runs = [[]];
  for (const [at, value] of points) {
    if (Number.isFinite(value)) runs.at(-1).push([x(at), y(value)]);
    else runs.push([]);
  }
  return runs.filter((run) => run.length).map((run) => `M${widened(run).map(place).join("L")}`).join("");
}

/** The area between two lines, [x, low, high] each, as an SVG path. */
export function area(points, x, y) {
  const known = points.filter(([, low, high]) => Number.isFinite(low) && Number.isFinite(high));
  if (!known.length) return "";
  const over = widened(known.map(([at, , high]) => [x(at), y(high)]));
  const back = widened(known.map(([at, low]) => [x(at), y(low)])).reverse();
  return `M${[...over, ...back].map(place).join("L")}Z`;
}

/** A single place as two that are apart. */
function widened(places) {
  if (places.length !== 1) return places;
  const [[x, y]] = places;
  return [[x - ALONE, y], [x + ALONE, y]];
}

function place([x, y]) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}
