// The view, drawn on an image: the crop with its handles, what is ignored, and the tiles.

import {html, useEffect, useRef, useState} from "../../vendor/htm-preact.js";
import {HANDLES, between, cropOf, fitted, inside, moved, polygonOf, resized, tilesOf} from "./view_geometry.js";

const CLICK = 5; // Screen pixels that a pointer may move between down and up to be a click still.
const HANDLE = 9, TOUCH = 22; // Radius of a handle in screen pixels: as drawn, and as touched.

/** Turns a pointer's place on screen into pixels of the frame. */
function placeOf(svg, event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [point.x, point.y];
}

/** How many pixels of the frame one pixel of the screen is, kept up to date. */
function useScale(ref, frame) {
  const [scale, setScale] = useState(1);
  useEffect(() => {
    const measure = () => ref.current?.clientWidth && setScale(frame.width / ref.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    measure();
    return () => observer.disconnect();
  }, [frame.width]);
  return scale;
}

const points = (polygon) => polygon.map((point) => point.join(",")).join(" ");
const outline = ([x, y, w, h]) => `M${x},${y}h${w}v${h}h${-w}z`;

/**
 * @param {object} props
 * @param {string} props.image URL of an image of the camera.
 * @param {{width: number, height: number}} props.frame Its size.
 * @param {object} props.view crop, ignore, tiles and overlap.
 * @param {"crop"|"ignore"} props.tool What a pointer draws.
 * @param {string} props.label What the drawing shows, for screen readers.
 * @param {(view: object) => void} props.onChange Called with each new view.
 */
export function ViewCanvas({image, frame, view, tool, label, onChange}) {
  const svg = useRef(null);
  const scale = useScale(svg, frame);
  const [drag, setDrag] = useState(null);
  const [open, setOpen] = useState([]); // Corners of a polygon that is being drawn.
  const crop = cropOf(view, frame);

  const close = () => {
    if (open.length > 2) onChange({...view, ignore: [...view.ignore, open]});
    setOpen([]);
  };
  useEffect(() => {
    if (tool !== "ignore") setOpen([]);
  }, [tool]);
  useEffect(() => {
    if (!open.length) return undefined;
    const onKey = (event) => {
      if (event.target.matches("input, select, textarea")) return; // Of the numbers beside the image.
      if (event.key === "Enter") close();
      else if (event.key === "Escape") setOpen([]);
      else if (event.key === "Backspace") setOpen(open.slice(0, -1));
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [open, view]);

  const begin = (event, grip) => {
    event.stopPropagation();
    svg.current.setPointerCapture(event.pointerId);
    const start = placeOf(svg.current, event);
    setDrag({grip, start, crop, last: start});
  };
  const onMove = (event) => {
    if (!drag) return;
    const last = placeOf(svg.current, event);
    const [dx, dy] = [last[0] - drag.start[0], last[1] - drag.start[1]];
    setDrag({...drag, last});
    if (drag.grip === "inside") onChange({...view, crop: moved(drag.crop, dx, dy, frame)});
    else if (drag.grip !== "new") onChange({...view, crop: resized(drag.crop, drag.grip, dx, dy, frame)});
  };
  const onEnd = () => {
    if (!drag) return;
    setDrag(null);
    if (drag.grip !== "new") return;
    const [start, last] = [inside(drag.start, frame), inside(drag.last, frame)];
    const far = Math.hypot(last[0] - start[0], last[1] - start[1]) > CLICK * scale;
    if (tool === "crop" && far) onChange({...view, crop: fitted(between(start, last), frame)});
    if (tool === "ignore" && far && !open.length) {
      onChange({...view, ignore: [...view.ignore, polygonOf(between(start, last))]});
    } else if (tool === "ignore") addCorner(last);
  };
  const addCorner = (corner) => {
    const first = open[0];
    const back = first && Math.hypot(corner[0] - first[0], corner[1] - first[1]) < TOUCH * scale;
    if (back && open.length > 2) close();
    else if (!back) setOpen([...open, corner]);
  };

  const drawing = drag?.grip === "new" && !open.length;
  const fresh = drawing ? between(inside(drag.start, frame), inside(drag.last, frame)) : null;
  const tiles = view.tiles[0] * view.tiles[1] > 1 ? tilesOf(crop, view.tiles, view.overlap) : [];
  return html`
    <div class="view-canvas" style=${{"--aspect": frame.width / frame.height}}>
      <img src=${image} alt="" draggable=${false} />
      <svg ref=${svg} class=${`draws-${tool}`} viewBox=${`0 0 ${frame.width} ${frame.height}`} role="img"
        aria-label=${label} preserveAspectRatio="none"
        onPointerDown=${(event) => begin(event, "new")} onPointerMove=${onMove} onPointerUp=${onEnd}
        onPointerCancel=${() => setDrag(null)}>
        <defs>
          <pattern id="hatch" patternUnits="userSpaceOnUse" width=${8 * scale} height=${8 * scale}
            patternTransform="rotate(45)">
            <rect class="hatch-back" width=${8 * scale} height=${8 * scale} />
            <rect class="hatch-line" width=${2.5 * scale} height=${8 * scale} />
          </pattern>
        </defs>
        <path class="outside" fill-rule="evenodd"
          d=${outline([0, 0, frame.width, frame.height]) + outline(crop)} />
        ${tiles.map((tile, index) => html`
          <path class=${`tile odd-${oddness(index, view.tiles[1])}`} d=${outline(tile)} />`)}
        ${view.ignore.map((polygon) => html`<polygon class="ignored" points=${points(polygon)} />`)}
        <path class="crop" d=${outline(crop)} onPointerDown=${tool === "crop" && view.crop
          ? (event) => begin(event, "inside") : null} />
        ${tool === "crop" && HANDLES.map((handle) => html`
          <${Handle} key=${handle.name} handle=${handle} crop=${crop} scale=${scale} begin=${begin} />`)}
        ${fresh && html`<path class="fresh" d=${outline(fresh)} />`}
        ${open.length > 0 && html`
          <polyline class="fresh" points=${points(open)} />
          ${open.map(([x, y], index) => html`
            <circle class=${index ? "corner" : "corner first"} cx=${x} cy=${y} r=${(index ? 4 : 7) * scale} />`)}`}
      </svg>
    </div>`;
}

const oddness = (index, columns) => (Math.floor(index / columns) + (index % columns)) % 2;

function Handle({handle, crop: [x, y, width, height], scale, begin}) {
  const cx = x + (width * (handle.x + 1)) / 2, cy = y + (height * (handle.y + 1)) / 2;
  return html`
    <g class=${`handle ${handle.name}`} onPointerDown=${(event) => begin(event, handle)}>
      <circle class="touch" cx=${cx} cy=${cy} r=${TOUCH * scale} />
      <circle class="dot" cx=${cx} cy=${cy} r=${HANDLE * scale} />
    </g>`;
}
