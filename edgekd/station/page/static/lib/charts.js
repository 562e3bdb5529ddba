// Charts as SVG, as wide as there is room. Tones are "ok", "ng", "error", "accent", "muted" of base.css; lines of one
// chart that share a tone should differ by `dashed`. Each chart has a label that is read out in its place.

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {area, extent, path, scale, ticks} from "./scales.js";
import {number} from "./texts.js";

const SIDE = {left: 52, right: 14, top: 18, bottom: 26};

/**
 * Lines over x, with bands between two lines and marks across.
 * @param {{label: string, series: {name, tone, points: [number, number|null][], dashed?: boolean}[],
 *   bands?: {name, tone, points: [number, number, number][]}[], marks?: {y: number, label: string, tone?}[],
 *   xFormat?: (x: number) => string, yFormat?: (y: number) => string, xRange?: [number, number],
 *   xTicks?: (from: number, to: number, count: number) => number[], yRange?: [number, number], height?: number}} props
 */
export function LineChart({label, series, bands = [], marks = [], xFormat = number, yFormat = number, xRange, xTicks,
                           yRange, height = 220}) {
  const [box, width] = useWidth();
  const [at, setAt] = useState(null); // The x under the pointer.
  const xs = [...series, ...bands].flatMap((each) => each.points.map((point) => point[0]));
  const ys = [...[...series, ...bands].flatMap((each) => each.points.flatMap((point) => point.slice(1))),
              ...marks.map((mark) => mark.y)];
  const [x0, x1] = xRange ?? extent(xs);
  const [y0, y1] = yRange ?? padded(extent(ys.map((value) => value ?? NaN)));
  const x = scale(x0, x1, SIDE.left, width - SIDE.right);
  const y = scale(y0, y1, height - SIDE.bottom, SIDE.top);
  const follow = (event) => setAt(nearest(xs, x.invert(event.clientX - box.current.getBoundingClientRect().left)));
  const readout = at === null ? "" : [xFormat(at), ...series.map((each) => valueAt(each, at, yFormat))].join("  ·  ");
  return html`<figure class="chart" ref=${box}>
    <${Legend} entries=${[...series, ...bands]} />
    <svg width=${width} height=${height} role="img" aria-label=${label} onPointerMove=${follow}
      onPointerLeave=${() => setAt(null)}>
      <${Axes} ...${{x, y, x0, x1, y0, y1, width, height, xFormat, yFormat, xTicks}} />
      ${bands.map((each) => html`<path key=${each.name} class=${`fill soft tone-${each.tone}`}
        d=${area(each.points, x, y)} />`)}
      ${marks.map((mark) => html`<g key=${mark.label} class=${`tone-${mark.tone ?? "muted"}`}>
        <path class="stroke dashed" d=${`M${SIDE.left} ${y(mark.y)}H${width - SIDE.right}`} />
        <text class="strong" x=${width - SIDE.right} y=${y(mark.y) - 5} text-anchor="end">${mark.label}</text></g>`)}
      ${series.map((each) => html`<path key=${each.name} d=${path(each.points, x, y)}
        class=${`stroke tone-${each.tone} ${each.dashed ? "dashed" : ""}`} />`)}
      ${at !== null && html`<path class="rule" d=${`M${x(at)} ${SIDE.top}V${height - SIDE.bottom}`} />`}
    </svg>
    <div class="readout">${readout}</div>
  </figure>`;
}

/**
 * How often values occur: counts of bins of one width, stacked, with marks at values. `onPick` gets the value at a
 * press, so that a mark can be moved; offer a field beside it for the keyboard. `band` is
 * a range of values, drawn behind the bars.
 * @param {{label: string, from: number, to: number, groups: {name, tone, counts: number[]}[],
 *   band?: {name, tone, from: number, to: number}, xFormat?, marks?: {x: number, label: string, tone?, dashed?: boolean}[],
 *   onPick?: (x: number) => void, height?: number}} props
 */
export function Histogram({label, from, to, groups, band, marks = [], xFormat = number, onPick, height = 240}) {
  const [box, width] = useWidth();
  const bins = Math.max(0, ...groups.map((each) => each.counts.length));
  const totals = Array.from({length: bins}, (_, bin) => groups.reduce((sum, each) => sum + (each.counts[bin] ?? 0), 0));
  const x = scale(from, to, SIDE.left, width - SIDE.right);
  const most = Math.max(1, ...totals);
  const y = scale(0, most, height - SIDE.bottom, SIDE.top + 16);
  const pick = (event) => onPick?.(clamp(x.invert(event.clientX - box.current.getBoundingClientRect().left), from, to));
  const drag = (event) => event.buttons && pick(event);
  const step = (to - from) / Math.max(1, bins);
  const bars = Array.from({length: bins}, (_, bin) => {
    let below = 0;
    return groups.map((each) => {
      const count = each.counts[bin] ?? 0;
      const high = Math.max(2, y(below) - y(below + count)); // A single one among thousands is seen too.
      const top = y(below) - high;
      below += count;
      return count > 0 && html`<rect key=${`${each.name}${bin}`} class=${`fill tone-${each.tone}`}
        x=${x(from + bin * step) + 0.5} y=${top} width=${Math.max(0.5, x(from + step) - x(from) - 1)} height=${high} />`;
    });
  });
  return html`<figure class="chart" ref=${box}>
    <${Legend} entries=${band ? [...groups, {...band, soft: true}] : groups} />
    <svg width=${width} height=${height} role="img" aria-label=${label} onPointerDown=${pick} onPointerMove=${drag}
      style=${onPick ? {cursor: "col-resize", touchAction: "none"} : {}}>
      <${Axes} ...${{x, y, x0: from, x1: to, y0: 0, y1: most, width, height, xFormat, yFormat: number}} />
      ${band && html`<rect class=${`fill soft tone-${band.tone}`} x=${x(clamp(band.from, from, to))} y=${SIDE.top}
        width=${x(clamp(band.to, from, to)) - x(clamp(band.from, from, to))} height=${height - SIDE.bottom - SIDE.top} />`}
      ${bars}
      ${marks.filter((mark) => mark.x >= from && mark.x <= to).map((mark, index) => html`<g key=${mark.label}
          class=${`tone-${mark.tone ?? "muted"}`}>
        <path class=${`stroke ${mark.dashed ? "dashed" : ""}`} d=${`M${x(mark.x)} ${SIDE.top}V${height - SIDE.bottom}`} />
        <text class="strong" y=${SIDE.top - 6 + 14 * (index % 2)} x=${x(mark.x)} text-anchor=${anchor(x(mark.x), width)}>${mark.label}</text>
      </g>`)}
    </svg>
  </figure>`;
}

/**
 * Bars over time or by name, each a stack.
 * @param {{label: string, bars: {label: string, values: number[]}[], groups: {name, tone}[], height?}} props
 */
export function StackedBars({label, bars, groups, height = 200}) {
  const [box, width] = useWidth();
  const total = (bar) => bar.values.reduce((sum, value) => sum + value, 0);
  const most = Math.max(1, ...bars.map(total));
  const x = scale(0, Math.max(1, bars.length), SIDE.left, width - SIDE.right);
  const y = scale(0, most, height - SIDE.bottom, SIDE.top);
  const every = Math.ceil(bars.length / Math.max(1, (width - SIDE.left) / 64)); // Labels that fit side by side.
  return html`<figure class="chart" ref=${box}>
    <${Legend} entries=${groups} />
    <svg width=${width} height=${height} role="img" aria-label=${label}>
      <${Axes} ...${{x, y, x0: 0, x1: 0, y0: 0, y1: most, width, height, xFormat: () => "", yFormat: number}} />
      ${bars.map((bar, index) => {
        let below = 0;
        return html`<g key=${index}><title>${`${bar.label}: ${bar.values.map((value, place) =>
            `${groups[place].name} ${number(value)}`).join(", ")}`}</title>
          ${bar.values.map((value, place) => {
            const top = y(below + value);
            const high = y(below) - top;
            below += value;
            return value > 0 && html`<rect key=${place} class=${`fill tone-${groups[place].tone}`} x=${x(index + 0.1)} y=${top}
              width=${Math.max(0.5, x(0.8) - x(0))} height=${high} />`;
          })}
          ${index % every === 0 && html`<text x=${x(index + 0.5)} y=${height - 8} text-anchor="middle">${bar.label}</text>`}
        </g>`;
      })}
    </svg>
  </figure>`;
}

/**
 * What each of some steps took, p50 to p95 as a bar and the longest as a tick, beside what there is.
 * @param {{label: string, rows: {name: string, p50, p95, max}[], limit?: number, limitLabel?: string,
 *   format?: (value: number) => string}} props
 */
export function RangeBars({label, rows, limit, limitLabel = "", format = number}) {
  const [box, width] = useWidth();
  const left = Math.min(160, width * 0.35);
  const most = Math.max(limit ?? 0, ...rows.map((row) => row.max ?? 0)) * 1.05 || 1;
  const x = scale(0, most, left, width - SIDE.right);
  const high = 34;
  const height = SIDE.top + rows.length * high + SIDE.bottom;
  return html`<figure class="chart" ref=${box}>
    <svg width=${width} height=${height} role="img" aria-label=${label}>
      ${ticks(0, most, width < 500 ? 3 : 6).map((value) => html`<g key=${value}>
        <path class="rule" d=${`M${x(value)} ${SIDE.top}V${height - SIDE.bottom}`} />
        <text x=${x(value)} y=${height - 8} text-anchor="middle">${format(value)}</text></g>`)}
      ${rows.map((row, index) => {
        const middle = SIDE.top + index * high + high / 2;
        return html`<g key=${row.name} class="tone-accent">
          <title>${`${row.name}: ${format(row.p50)} / ${format(row.p95)} / ${format(row.max)}`}</title>
          <text class="strong" x=${left - 10} y=${middle + 4} text-anchor="end">${row.name}</text>
          <rect class="fill soft" x=${x(0)} y=${middle - 8} width=${Math.max(0, x(row.p95 ?? 0) - x(0))} height="16" />
          <rect class="fill" x=${x(0)} y=${middle - 8} width=${Math.max(0, x(row.p50 ?? 0) - x(0))} height="16" />
          <path class="stroke" d=${`M${x(row.max ?? 0)} ${middle - 11}v22`} /></g>`;
      })}
      ${limit !== undefined && html`<g class="tone-ng">
        <path class="stroke dashed" d=${`M${x(limit)} ${SIDE.top}V${height - SIDE.bottom}`} />
        <text class="strong" x=${x(limit)} y=${SIDE.top - 6} text-anchor="end">${limitLabel}</text></g>`}
    </svg>
  </figure>`;
}

/** The width that an element has, for drawing in it. */
export function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(320);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.max(160, Math.floor(entry.contentRect.width))));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, width];
}

function Axes({x, y, x0, x1, y0, y1, width, height, xFormat, yFormat, xTicks = ticks}) {
  const bottom = height - SIDE.bottom;
  const alongX = xTicks(x0, x1, width < 500 ? 3 : 6).filter((value) => value >= x0 && value <= x1);
  return html`
    ${ticks(y0, y1, 4).map((value) => html`<g key=${`y${value}`}>
      <path class="rule" d=${`M${SIDE.left} ${y(value)}H${width - SIDE.right}`} />
      <text x=${SIDE.left - 8} y=${y(value) + 4} text-anchor="end">${yFormat(value)}</text></g>`)}
    ${alongX.map((value) => html`<text key=${`x${value}`} x=${x(value)} y=${bottom + 17}
      text-anchor=${anchor(x(value), width)}>${xFormat(value)}</text>`)}
    <path class="axis" d=${`M${SIDE.left} ${bottom}H${width - SIDE.right}`} />`;
}

function Legend({entries}) {
  if (entries.length < 2) return null;
  return html`<div class="legend">${entries.map((each) => html`<span key=${each.name} class=${`tone-${each.tone}`}>
    <svg viewBox="0 0 12 12" aria-hidden="true">${each.dashed
      ? html`<path class="stroke dashed" d="M0 6h12" />`
      : html`<rect class=${each.soft ? "fill soft" : "fill"} width="12" height="12" rx="2" />`}</svg>${each.name}</span>`)}</div>`;
}

function anchor(place, width) {
  if (place < SIDE.left + 20) return "start";
  return place > width - SIDE.right - 20 ? "end" : "middle";
}

function padded([low, high]) {
  const room = (high - low) * 0.06;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function nearest(values, wanted) {
  return values.reduce((best, value) =>
    best === null || Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best, null);
}

function valueAt(series, at, format) {
  const point = series.points.find((each) => each[0] === at);
  return `${series.name} ${Number.isFinite(point?.[1]) ? format(point[1]) : "–"}`;
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
