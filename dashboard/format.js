// Figures and times as words. All of them short, and of steady width where they change.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** What stands where nothing is known: never a zero. */
export const NONE = "–";

/** @param {number|null|undefined} n */
export function count(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return NONE;
  if (n < 100_000) return whole.format(n);
  if (n < 1e6) return `${whole.format(n / 1e3)}k`;
  return `${tenth.format(n / 1e6)}M`;
}

/** A number of decisions a second. @param {number|null} n */
export function rate(n) {
  if (n === null) return NONE;
  if (n === 0) return "0";
  return n < 9.95 ? tenth.format(n) : count(n);
}

/** @param {number|null} part between 0 and 1 */
export function percent(part) {
  if (part === null || Number.isNaN(part)) return NONE;
  const n = part * 100;
  if (n === 0 || n === 100) return `${n}%`;
  if (n < 0.1) return "<0.1%";
  if (n > 99.9) return ">99.9%";
  return n < 10 || n > 90 ? `${tenth.format(n)}%` : `${whole.format(n)}%`;
}

/** A share, and what it is a share of. @param {number} part @param {number} whole */
export function shareWords(part, whole) {
  return `${percent(part)} of ${plural(whole, "decision")}`;
}

/** @param {number|null} n microseconds */
export function micros(n) {
  if (n === null || n === undefined) return NONE;
  if (n < 10) return `${tenth.format(n)} µs`;
  if (n < 995) return `${whole.format(n)} µs`;
  if (n < 9_950) return `${tenth.format(n / 1e3)} ms`;
  if (n < 995_000) return `${whole.format(n / 1e3)} ms`;
  return `${tenth.format(n / 1e6)} s`;
}

/** @param {number|null|undefined} n */
export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  if (n < 1024) return `${whole.format(n)} B`;
  if (n < 1024 ** 2) return `${whole.format(n / 1024)} KiB`;
  const mib = n / 1024 ** 2;
  if (mib < 1024) return `${(mib < 10 ? tenth : whole).format(mib)} MiB`;
  return `${tenth.format(mib / 1024)} GiB`;
}

/** @param {number|null|undefined} millis */
export function duration(millis) {
  if (millis === null || millis === undefined) return NONE;
  const s = Math.max(0, millis / 1000);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** How long ago. @param {number} at @param {number} now */
export function ago(at, now) {
  const s = (now - at) / 1000;
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

/** @param {number} n @param {number} [width] */
const padded = (n, width = 2) => String(n).padStart(width, "0");

/** The time of day, in this machine's zone. @param {number} at @param {boolean} [millis] */
export function clock(at, millis = false) {
  const d = new Date(at);
  const text = `${padded(d.getHours())}:${padded(d.getMinutes())}:${padded(d.getSeconds())}`;
  return millis ? `${text}.${padded(d.getMilliseconds(), 3)}` : text;
}

/** Enough of a digest to tell two apart. @param {string|null|undefined} revision */
export function shortRevision(revision) {
  return revision ? revision.slice(0, 8) : NONE;
}

/** @param {number} n @param {string} one @param {string} [many] */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** @param {string} text @param {number} most characters */
export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** Where in a bundle something is. @param {{file?: string, row?: number, col?: number}|null|undefined} location */
export function place(location) {
  if (!location?.file) return "";
  return [location.file, location.row, location.col].filter((part) => part !== undefined && part !== null).join(":");
}
