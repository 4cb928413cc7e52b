// Charts over time as SVG: sharp on every screen, and in the colours of the style sheet.

import { clock, NONE } from "./format.js";
import { el, setAttr, setText, svg } from "./dom.js";

const HEIGHT = 188;
const LEFT = 52;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;
/** Half the width of a point that has no neighbours to draw a line to. */
const DOT = 1;
/** Share of a chart that may be blank at its beginning without a word. */
const MAX_BLANK = 0.4;
/** Below this, the labels of the time axis would touch. */
const NARROW = 420;

/** The smallest round number from which the axis has room above the value. @param {number} value */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 4, 5, 6, 8, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}

/** Whole powers of ten around the values; never less than one power apart. @param {number} low @param {number} high */
export function decades(low, high) {
  const from = Math.floor(Math.log10(Math.max(1, low)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(1, high))));
  return [from, to];
}

/** Charts that show the same moment: what is looked at in one is shown in all. */
export class Crosshair {
  constructor() {
    /** @type {Chart[]} */
    this.charts = [];
    /** The moment that is looked at, in seconds. @type {number|null} */
    this.second = null;
  }

  /** @param {...Chart} charts */
  link(...charts) {
    for (const chart of charts) {
      chart.crosshair = this;
      this.charts.push(chart);
    }
  }

  /** @param {number|null} second */
  look(second) {
    this.second = second;
    for (const chart of this.charts) chart.read();
  }
}

/** Something that happened at a moment. @typedef {{second: number, name: string}} Mark */

/**
 * @typedef {object} Line
 * @property {string} key
 * @property {string} name
 * @property {string} className
 * @property {boolean} [rare] in the legend only where there is some
 */

export class Chart {
  /**
   * @param {object} options
   * @param {string} options.title
   * @param {Line[]} options.lines
   * @param {boolean} options.stacked areas upon each other, else lines on a logarithmic axis
   * @param {(n: number|null) => string} options.format
   * @param {string} options.empty what it says where there was nothing
   * @param {string} options.unknown what it says of a long time that nothing is known of
   */
  constructor({ title, lines, stacked, format, empty, unknown }) {
    this.unknown = unknown;
    this.lines = lines;
    this.stacked = stacked;
    this.format = format;
    /** @type {{from: number, width: number, points: any[]}} */
    this.data = { from: 0, width: 1, points: [] };
    this.width = 0;
    this.crosshair = new Crosshair();
    this.crosshair.charts.push(this);
    this.when = svg("text", { class: "when", y: TOP + 10, visibility: "hidden" });
    this.readouts = lines.map(() => el("span", { class: "value" }, NONE));
    this.keys = lines.map((line, i) => el("span", { class: "key", hidden: line.rare }, el("i", { class: `swatch ${line.className}` }), `${line.name} `, this.readouts[i]));
    this.grid = svg("g", { class: "grid" });
    this.gridKey = "";
    this.paths = lines.map((line) => svg("path", { class: `${stacked ? "area" : "line"} ${line.className}` }));
    this.happened = svg("g", { class: "marks" });
    /** @type {Mark[]} */
    this.marks = [];
    this.cross = svg("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    this.empty = empty;
    this.note = svg("text", { class: "note", "text-anchor": "middle", y: HEIGHT / 2 - 4 });
    this.svg = svg(
      "svg",
      { class: "plot", height: HEIGHT, tabindex: "0", role: "img", "aria-label": `${title}. Arrow keys read single points.` },
      this.grid, ...this.paths, this.happened, this.cross, this.when, this.note,
    );
    this.spoken = el("span", { class: "off-screen", "aria-live": "polite" });
    this.element = el(
      "figure",
      { class: "chart" },
      el("figcaption", {},
        el("h2", {}, title),
        el("span", { class: "legend" },
          ...this.keys)),
      this.svg, this.spoken,
    );
    this.svg.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const box = this.svg.getBoundingClientRect();
      this.look(Math.floor(((event.clientX - box.left - LEFT) / this.inner) * this.data.points.length));
    });
    this.svg.addEventListener("pointerleave", () => this.look(null));
    this.svg.addEventListener("blur", () => this.look(null));
    this.svg.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const last = this.data.points.length - 1;
      const at = this.cursor;
      const to = { ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? last - 1) + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.look(to);
      setText(this.spoken, `${this.when.textContent}: ${lines.map((line, i) => `${line.name} ${this.readouts[i].textContent}`).join(", ")}`);
    });
    this.observer = new ResizeObserver(([entry]) => {
      this.width = Math.round(entry.contentRect.width);
      this.draw();
    });
    this.observer.observe(this.svg);
  }

  get inner() {
    return Math.max(1, this.width - LEFT - RIGHT);
  }

  /** The point that is looked at: a moment, which moves to the left as time goes on. @returns {number|null} */
  get cursor() {
    const { second } = this.crosshair;
    if (second === null) return null;
    const i = Math.floor((second - this.data.from) / this.data.width);
    return i < 0 || i >= this.data.points.length ? null : i;
  }

  /** @param {number|null} point */
  look(point) {
    const { from, width, points } = this.data;
    const last = points.length - 1;
    this.crosshair.look(point === null || last < 0 ? null : from + (Math.min(last, Math.max(0, point)) + 0.5) * width);
  }

  /** @param {{from: number, width: number, points: any[]}} data @param {Mark[]} [marks] */
  update(data, marks = []) {
    this.data = data;
    const end = data.from + data.points.length * data.width;
    this.marks = marks.filter(({ second }) => second >= data.from && second < end);
    if (this.width > 0) this.draw();
  }

  draw() {
    const { points } = this.data;
    setAttr(this.svg, "viewBox", `0 0 ${this.width} ${HEIGHT}`);
    setAttr(this.svg, "width", String(this.width));
    let low = Infinity;
    let high = 0;
    for (const point of points) {
      if (point === null) continue;
      if (this.stacked) {
        high = Math.max(high, this.lines.reduce((sum, line) => sum + point[line.key], 0));
      } else {
        for (const line of this.lines) {
          low = Math.min(low, point[line.key]);
          high = Math.max(high, point[line.key]);
        }
      }
    }
    const known = points.some((point) => point !== null);
    for (const [n, line] of this.lines.entries()) {
      if (line.rare) this.keys[n].hidden = !points.some((point) => point !== null && point[line.key] > 0);
    }
    const bottom = HEIGHT - BOTTOM;
    const tall = bottom - TOP;
    /** @type {(value: number) => number} */
    let y;
    /** @type {number[]} */
    let ticks;
    if (this.stacked) {
      const top = niceTop(high);
      y = (value) => bottom - (value / top) * tall;
      ticks = [0, top / 2, top];
    } else {
      const [from, to] = known ? decades(low, high) : [1, 3];
      y = (value) => bottom - ((Math.log10(Math.max(1, value)) - from) / (to - from)) * tall;
      const every = Math.ceil((to - from) / 4);
      ticks = [];
      for (let power = from; power <= to; power += every) ticks.push(10 ** power);
    }
    this.drawGrid(ticks, y);
    const step = this.inner / Math.max(1, points.length);
    const x = (/** @type {number} */ i) => LEFT + (i + 0.5) * step;
    const floor = new Array(points.length).fill(0);
    for (const [n, line] of this.lines.entries()) {
      const value = (/** @type {number} */ i) => points[i][line.key] + (this.stacked ? floor[i] : 0);
      let d = "";
      for (let i = 0; i < points.length; i += 1) {
        if (points[i] === null) continue;
        const start = i;
        while (i + 1 < points.length && points[i + 1] !== null) i += 1;
        const dots = [];
        for (let j = start; j <= i; j += 1) dots.push(`${x(j).toFixed(1)} ${y(value(j)).toFixed(1)}`);
        if (this.stacked && start === i) {
          // An area needs a width.
          d += `M${(x(i) - step / 2).toFixed(1)} ${y(floor[i]).toFixed(1)}V${y(value(i)).toFixed(1)}h${step.toFixed(1)}V${y(floor[i]).toFixed(1)}Z`;
        } else if (this.stacked) {
          const back = [];
          for (let j = i; j >= start; j -= 1) back.push(`${x(j).toFixed(1)} ${y(floor[j]).toFixed(1)}`);
          d += `M${dots.join("L")}L${back.join("L")}Z`;
        } else if (dots.length === 1) {
          d += `M${(x(start) - DOT).toFixed(1)} ${y(value(start)).toFixed(1)}a${DOT} ${DOT} 0 1 0 ${2 * DOT} 0a${DOT} ${DOT} 0 1 0 ${-2 * DOT} 0`;
        } else d += `M${dots.join("L")}`;
      }
      if (this.stacked) for (let i = 0; i < points.length; i += 1) if (points[i] !== null) floor[i] += points[i][line.key];
      setAttr(this.paths[n], "d", d);
    }
    this.drawMarks();
    const first = points.findIndex((point) => point !== null);
    // The words stand in the midst of the time that they are about.
    const blank = first < 0 || high === 0 ? points.length : first;
    const isLong = blank > MAX_BLANK * points.length;
    setAttr(this.note, "x", String(LEFT + (this.inner * blank) / Math.max(1, points.length) / 2));
    setAttr(this.note, "visibility", isLong || points.length === 0 ? null : "hidden");
    setText(this.note, first < 0 && this.stacked ? "Nothing is known yet" : high === 0 ? this.empty : this.unknown);
    this.read();
  }

  /** @param {number[]} ticks @param {(value: number) => number} y */
  drawGrid(ticks, y) {
    const key = `${this.width} ${this.data.points.length} ${ticks.join()}`;
    if (this.gridKey === key) return;
    this.gridKey = key;
    const marks = [];
    for (const tick of ticks) {
      const at = Math.round(y(tick)) + 0.5;
      marks.push(svg("line", { x1: LEFT, x2: LEFT + this.inner, y1: at, y2: at }));
      marks.push(svg("text", { x: LEFT - 8, y: at + 3.5, "text-anchor": "end" }, this.format(tick)));
    }
    const whole = (this.data.points.length * this.data.width) / 60;
    const steps = this.width < NARROW ? 3 : 5;
    for (let step = steps; step >= 0; step -= 1) {
      const minute = Math.round((whole * step) / steps);
      const anchor = step === 0 ? "end" : step === steps ? "start" : "middle";
      marks.push(svg("text", { x: LEFT + this.inner * (1 - step / steps), y: HEIGHT - 5, "text-anchor": anchor }, minute === 0 ? "now" : `−${minute} min`));
    }
    this.grid.replaceChildren(...marks);
  }

  drawMarks() {
    const { from, width, points } = this.data;
    const x = (/** @type {Mark} */ mark) => (LEFT + ((mark.second - from) / (points.length * width)) * this.inner).toFixed(1);
    const bottom = HEIGHT - BOTTOM;
    this.happened.replaceChildren(...this.marks.map((mark) =>
      svg("path", { class: mark.name, d: `M${x(mark)} ${TOP}V${bottom}m-4 6l4 -6l4 6z` }, svg("title", {}, `${clock(mark.second * 1000)} ${mark.name}`))));
  }

  read() {
    const { from, width, points } = this.data;
    const i = this.cursor;
    const point = i === null ? points.findLast((p) => p !== null) ?? null : points[i];
    for (const [n, line] of this.lines.entries()) setText(this.readouts[n], this.format(point?.[line.key] ?? null));
    if (i === null) {
      setAttr(this.cross, "visibility", "hidden");
      setAttr(this.when, "visibility", "hidden");
      return;
    }
    const at = LEFT + (i + 0.5) * (this.inner / points.length);
    const left = i > points.length / 2;
    const start = from + i * width;
    const names = this.marks.filter(({ second }) => second >= start && second < start + width).map((mark) => mark.name);
    setText(this.when, [clock(start * 1000), ...names].join(" · "));
    setAttr(this.when, "x", String(at + (left ? -6 : 6)));
    setAttr(this.when, "text-anchor", left ? "end" : "start");
    setAttr(this.when, "visibility", null);
    setAttr(this.cross, "x1", String(at));
    setAttr(this.cross, "x2", String(at));
    setAttr(this.cross, "visibility", null);
  }

  destroy() {
    this.crosshair.charts = this.crosshair.charts.filter((chart) => chart !== this);
    this.observer.disconnect();
  }
}

const SPARK_WIDTH = 96;
const SPARK_HEIGHT = 20;
/** More would be thinner than a pixel. */
const SPARK_BARS = 48;

/** A small picture of the last minutes for a row of the table. */
export class Spark {
  constructor() {
    this.parts = ["allow", "deny", "error"].map((key) => ({ key, path: svg("path", { class: `area ${key}` }) }));
    this.element = svg(
      "svg",
      { class: "spark", viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`, width: SPARK_WIDTH, height: SPARK_HEIGHT, "aria-hidden": "true" },
      svg("line", { class: "base", x1: 0, x2: SPARK_WIDTH, y1: SPARK_HEIGHT - 0.5, y2: SPARK_HEIGHT - 0.5 }), ...this.parts.map((part) => part.path),
    );
  }

  /** @param {{points: ({allow: number, deny: number, error: number}|null)[]}} data */
  update({ points }) {
    const each = Math.ceil(points.length / SPARK_BARS);
    const bars = [];
    let high = 0;
    for (let i = 0; i < points.length; i += each) {
      const bar = { allow: 0, deny: 0, error: 0 };
      for (const point of points.slice(i, i + each)) {
        bar.allow += point?.allow ?? 0;
        bar.deny += point?.deny ?? 0;
        bar.error += point?.error ?? 0;
      }
      bars.push(bar);
      high = Math.max(high, bar.allow + bar.deny + bar.error);
    }
    const step = SPARK_WIDTH / bars.length;
    const y = (/** @type {number} */ v) => ((1 - v / high) * (SPARK_HEIGHT - 1)).toFixed(1);
    const floor = new Array(bars.length).fill(0);
    for (const { key, path } of this.parts) {
      let d = "";
      for (const [i, bar] of bars.entries()) {
        const n = bar[/** @type {"allow"|"deny"|"error"} */ (key)];
        if (n === 0) continue;
        d += `M${(i * step).toFixed(1)} ${y(floor[i])}V${y(floor[i] + n)}h${step.toFixed(1)}V${y(floor[i])}Z`;
        floor[i] += n;
      }
      setAttr(path, "d", d);
    }
  }
}
