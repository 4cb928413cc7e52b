// The answer of /v1/overview: the supervisor itself, and the totals of its tenants. Pure.

import { serverErrors } from "./errors.js";
import { ALLOW, DENY, ERROR, spread } from "./quantiles.js";
import { CHART_SECONDS } from "./stats.js";

/** Tenants that are kept of one answer: more than one host serves, so only a broken answer is cut. */
const MAX_TENANTS = 20_000;

/** @param {any} n */
const number = (n) => Number(n) || 0;
/** @param {any} object @returns {Record<string, number>} */
const counters = (object) => (object !== null && typeof object === "object" ? object : {});

/**
 * @typedef {object} Totals
 * @property {number} allow
 * @property {number} deny
 * @property {number} failed requests that ended in an error of the server
 * @property {Record<string, number>} errors requests without a decision, by code
 * @property {Record<string, number>} limits limits that were reached
 * @property {number[]} buckets evaluations, by the server's bounds
 * @property {number|null} memory bytes
 * @property {number|null} cpu milliseconds
 */

export class Host {
  /** @param {any} result @param {number} at when it came, by this page's clock */
  constructor(result, at) {
    this.at = at;
    this.version = String(result.version ?? "");
    this.started = Date.parse(result.started) || 0;
    /** How far the server's clock is ahead of this page's. */
    this.ahead = (Date.parse(result.now) || at) - at;
    this.sandboxOff = result.sandbox_mode !== undefined && result.sandbox_mode !== "strict";
    this.readable = result.bundles_dir_readable !== false;
    this.isReady = result.is_ready !== false;
    this.pid = number(result.pid);
    this.connections = number(result.connections);
    this.maxConnections = number(result.max_connections);
    this.consumers = number(result.stream_consumers);
    this.hostLimits = counters(result.host_limits);
    this.droppedLogLines = number(result.dropped_log_lines);
    this.ignoredDirectories = number(result.ignored_directories);
    /** @type {number[]} */
    this.bounds = Array.isArray(result.evaluation_bounds_micros) ? result.evaluation_bounds_micros.map(number) : [];
    /** @type {Map<string, Totals>} */
    this.tenants = new Map();
    for (const [id, of] of Object.entries(result.tenants ?? {}).slice(0, MAX_TENANTS)) {
      this.tenants.set(id, {
        allow: number(of?.allowed),
        deny: number(of?.denied),
        failed: serverErrors(of?.errors),
        errors: counters(of?.errors),
        limits: counters(of?.limits),
        buckets: Array.isArray(of?.evaluations?.buckets) ? of.evaluations.buckets.map(number) : [],
        memory: typeof of?.memory_bytes === "number" ? of.memory_bytes : null,
        cpu: typeof of?.cpu_millis === "number" ? of.cpu_millis : null,
      });
    }
  }
}

/**
 * What was added between two answers. A counter that went down began at zero meanwhile, and says nothing.
 * @param {Totals} before @param {Totals} after
 * @returns {{allow: number, deny: number, failed: number, buckets: number[]}|null}
 */
export function growth(before, after) {
  const allow = after.allow - before.allow;
  const deny = after.deny - before.deny;
  const failed = after.failed - before.failed;
  const buckets = after.buckets.map((n, i) => n - (before.buckets[i] ?? 0));
  if (allow < 0 || deny < 0 || failed < 0 || buckets.some((n) => n < 0)) return null;
  return { allow, deny, failed, buckets };
}

/**
 * Without a stream, what the totals grew by is spread over the time that it took.
 * @param {import("./store.js").Store} store @param {Host} before @param {Host} after @param {number} now
 */
export function countGrowth(store, before, after, now) {
  const from = before.at / 1000;
  const to = now / 1000;
  const seconds = Math.max(1, Math.round(to - from));
  if (seconds > CHART_SECONDS) return;
  let total = 0;
  for (const [id, totals] of after.tenants) {
    const old = before.tenants.get(id);
    const stats = store.statsOf(id);
    if (old === undefined || stats === null) continue;
    const grown = growth(old, totals);
    stats.polledRate = grown === null ? null : (grown.allow + grown.deny) / (to - from);
    if (grown === null) continue;
    total += grown.allow + grown.deny;
    for (const [kind, n] of [[ALLOW, grown.allow], [DENY, grown.deny], [ERROR, grown.failed]]) {
      for (let i = 0; i < seconds; i += 1) {
        const part = Math.floor(((i + 1) * n) / seconds) - Math.floor((i * n) / seconds);
        if (part === 0) continue;
        stats.count(from + i, kind, part);
        store.total.count(from + i, kind, part);
      }
    }
    spread(grown.buckets, after.bounds, (bucket, n) => {
      stats.evaluated(to, bucket, n);
      store.total.evaluated(to, bucket, n);
    });
  }
  store.total.polledRate = total / (to - from);
  store.known.add(from, to);
}
