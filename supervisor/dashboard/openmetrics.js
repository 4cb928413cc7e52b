// Reads the OpenMetrics text of /metrics, piece by piece as it arrives: with ten thousand tenants
// it is tens of megabytes, and parsing those at a stretch would freeze the page.

/** The families that the dashboard shows; every other line is skipped before its labels are read. */
const WANTED = new Set([
  "enforcer_decisions_total",
  "enforcer_errors_total",
  "enforcer_evaluation_seconds_bucket",
  "enforcer_worker_memory_bytes",
  "enforcer_tenant_limit_reached_total",
  "enforcer_sandbox_off",
]);

/** Tenants that are kept of one answer: beyond what one host serves, so only a broken answer is cut. */
const MAX_TENANTS = 20_000;
/** Codes and limits of one tenant; there are a dozen. */
const MAX_LABELS = 64;
/** Bounds of the histogram of evaluation times; there are 13. */
const MAX_BOUNDS = 64;

/**
 * @typedef {object} TenantMetrics
 * @property {number} allow
 * @property {number} deny
 * @property {number|null} memory bytes
 * @property {Map<string, number>} errors requests without a decision, by code
 * @property {Map<string, number>} limits limits that were reached
 * @property {[number, number][]} buckets upper bound in seconds, cumulative count
 */

/** @returns {TenantMetrics} */
function noMetrics() {
  return { allow: 0, deny: 0, memory: null, errors: new Map(), limits: new Map(), buckets: [] };
}

/**
 * The name, labels and value of a sample; null for what is none.
 * @param {string} line
 * @returns {{name: string, labels: Record<string, string>, value: number}|null}
 */
export function parseSample(line) {
  const brace = line.indexOf("{");
  const space = line.indexOf(" ");
  const labels = Object.create(null);
  let name;
  let rest;
  if (brace >= 0 && (space < 0 || brace < space)) {
    name = line.slice(0, brace);
    let at = brace + 1;
    while (at < line.length && line[at] !== "}") {
      if (line[at] === "," || line[at] === " ") {
        at += 1;
        continue;
      }
      const equals = line.indexOf('="', at);
      if (equals < 0) return null;
      const key = line.slice(at, equals);
      at = equals + 2;
      let end = at;
      while (end < line.length && line[end] !== '"') end += line[end] === "\\" ? 2 : 1;
      if (end >= line.length) return null;
      const text = line.slice(at, end);
      labels[key] = text.includes("\\")
        ? text.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c))
        : text;
      at = end + 1;
    }
    if (line[at] !== "}") return null;
    rest = line.slice(at + 1);
  } else {
    if (space < 0) return null;
    name = line.slice(0, space);
    rest = line.slice(space);
  }
  const word = rest.trim().split(" ", 1)[0];
  if (name === "" || word === "") return null;
  const value = word === "+Inf" ? Infinity : word === "-Inf" ? -Infinity : Number(word);
  return Number.isNaN(value) ? null : { name, labels, value };
}

/** Takes the text in pieces, cut anywhere. */
export class MetricsReader {
  constructor() {
    /** @type {Map<string, TenantMetrics>} */
    this.tenants = new Map();
    this.sandboxOff = false;
    /** Whether the text came whole. */
    this.complete = false;
    this.rest = "";
  }

  /** @param {string} piece */
  push(piece) {
    const text = this.rest + piece;
    let from = 0;
    for (;;) {
      const end = text.indexOf("\n", from);
      if (end < 0) break;
      this.line(text.slice(from, end));
      from = end + 1;
    }
    this.rest = text.slice(from);
  }

  /** @param {string} line */
  line(line) {
    if (line.startsWith("#")) {
      if (line === "# EOF") this.complete = true;
      return;
    }
    const cut = line.search(/[{ ]/);
    if (cut < 0 || !WANTED.has(line.slice(0, cut))) return;
    const sample = parseSample(line);
    if (sample === null) return;
    const { name, labels, value } = sample;
    if (name === "enforcer_sandbox_off") {
      this.sandboxOff = value > 0;
      return;
    }
    const tenant = this.tenant(labels.tenant);
    if (tenant === null) return;
    switch (name) {
      case "enforcer_decisions_total":
        if (labels.decision === "allow") tenant.allow = value;
        else tenant.deny = value;
        break;
      case "enforcer_errors_total":
        if (tenant.errors.size < MAX_LABELS) tenant.errors.set(labels.code ?? "", value);
        break;
      case "enforcer_tenant_limit_reached_total":
        if (tenant.limits.size < MAX_LABELS) tenant.limits.set(labels.limit ?? "", value);
        break;
      case "enforcer_worker_memory_bytes":
        tenant.memory = value;
        break;
      case "enforcer_evaluation_seconds_bucket":
        if (tenant.buckets.length < MAX_BOUNDS) {
          tenant.buckets.push([labels.le === "+Inf" ? Infinity : Number(labels.le), value]);
        }
        break;
    }
  }

  /** @param {string|undefined} id */
  tenant(id) {
    if (id === undefined) return null;
    let tenant = this.tenants.get(id);
    if (tenant === undefined) {
      if (this.tenants.size >= MAX_TENANTS) return null;
      tenant = noMetrics();
      this.tenants.set(id, tenant);
    }
    return tenant;
  }
}

/**
 * How many evaluations fell into each bucket between two readings, and each bucket's middle in
 * microseconds. A counter that went down was begun anew, and says nothing.
 * @param {[number, number][]} before
 * @param {[number, number][]} after
 * @returns {{micros: number, count: number}[]}
 */
export function newEvaluations(before, after) {
  const old = new Map(before);
  const sorted = [...after].sort((a, b) => a[0] - b[0]);
  const found = [];
  let below = 0;
  let lower = 0;
  for (const [bound, cumulative] of sorted) {
    const grown = cumulative - (old.get(bound) ?? 0);
    if (grown < below) return [];
    const upper = bound === Infinity ? lower * 2 : bound;
    if (grown > below) {
      const middle = lower === 0 ? upper / 2 : Math.sqrt(lower * upper);
      found.push({ micros: middle * 1e6, count: grown - below });
    }
    below = grown;
    lower = upper;
  }
  return found;
}
