// Geometry of a view: rectangles are [x, y, width, height], all lengths are pixels of the camera's frame.

export const SMALLEST_CROP = 16;
export const MOST_TILES = 64;
export const OVERLAP = 0.1; // Of neighbouring tiles, as `edgekd train --tiles` takes it.

/** The handles of a rectangle: which of its sides each moves; -1 the first, 1 the last, 0 neither. */
export const HANDLES = [
  {name: "nw", x: -1, y: -1}, {name: "n", x: 0, y: -1}, {name: "ne", x: 1, y: -1},
  {name: "w", x: -1, y: 0}, {name: "e", x: 1, y: 0},
  {name: "sw", x: -1, y: 1}, {name: "s", x: 0, y: 1}, {name: "se", x: 1, y: 1},
];

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

/** What is looked at, as a rectangle. */
export function cropOf(view, frame) {
  return view.crop ?? [0, 0, frame.width, frame.height];
}

/** A crop of whole pixels that lies within the frame; null where that is all of it. */
export function fitted(crop, frame) {
  const width = clamp(Math.round(crop[2]), SMALLEST_CROP, frame.width);
  const height = clamp(Math.round(crop[3]), SMALLEST_CROP, frame.height);
  const x = clamp(Math.round(crop[0]), 0, frame.width - width);
  const y = clamp(Math.round(crop[1]), 0, frame.height - height);
  return width === frame.width && height === frame.height ? null : [x, y, width, height];
}

/** A crop moved by some pixels. */
export function moved([x, y, width, height], dx, dy, frame) {
  return fitted([x + dx, y + dy, width, height], frame);
}

/** A crop one of whose handles is dragged; the opposite side stays where it is. */
export function resized([x, y, width, height], handle, dx, dy, frame) {
  const side = (first, length, end, which, by) => {
    let last = first + length;
    if (which < 0) first = clamp(first + by, 0, last - SMALLEST_CROP);
    if (which > 0) last = clamp(last + by, first + SMALLEST_CROP, end);
    return [first, last - first];
  };
  const [left, wide] = side(x, width, frame.width, handle.x, dx);
  const [top, high] = side(y, height, frame.height, handle.y, dy);
  return fitted([left, top, wide, high], frame);
}

/** The rectangle between two corners. */
export function between(a, b) {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];
}

/** A rectangle as a polygon. */
export function polygonOf([x, y, width, height]) {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]].map((point) => point.map(Math.round));
}

/** The rectangle that a polygon is; null where it is another shape. */
export function rectangleOf(polygon) {
  const box = boxOf(polygon);
  const same = polygonOf(box).every(([x, y], index) => polygon[index]?.[0] === x && polygon[index]?.[1] === y);
  return polygon.length === 4 && same ? box : null;
}

/** The rectangle around a polygon. */
export function boxOf(polygon) {
  const xs = polygon.map(([x]) => x), ys = polygon.map(([, y]) => y);
  return between([Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]);
}

/** A point of whole pixels inside the frame. */
export function inside([x, y], frame) {
  return [clamp(Math.round(x), 0, frame.width), clamp(Math.round(y), 0, frame.height)];
}

/** The tiles that a crop is divided into, row by row; they overlap by a share of a tile. */
export function tilesOf([x, y, width, height], [rows, columns], overlap) {
  const spread = (length, count) => {
    const tile = Math.min(length, Math.ceil(length / (count - (count - 1) * overlap)));
    const step = count > 1 ? (length - tile) / (count - 1) : 0;
    return [Array.from({length: count}, (_, index) => Math.round(index * step)), tile];
  };
  const [tops, high] = spread(height, rows);
  const [lefts, wide] = spread(width, columns);
  return tops.flatMap((top) => lefts.map((left) => [x + left, y + top, wide, high]));
}

/** Whether two views look at the same. */
export function sameView(a, b) {
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

/** A view with all of its fields, as the server takes it. */
export function plain(view) {
  const tiles = view?.tiles ?? [1, 1];
  const overlap = tiles[0] * tiles[1] > 1 ? view?.overlap || OVERLAP : 0;
  return {crop: view?.crop ?? null, ignore: view?.ignore ?? [], tiles, overlap};
}
