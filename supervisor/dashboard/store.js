// All that the dashboard knows. Pure: messages, answers and the time come in; views read.

import { Alerts } from "./alerts.js";
import { Feed, decisionOf, missedOf } from "./feed.js";
import { newEvaluations } from "./openmetrics.js";
import { ALLOW, Counts, DENY, Evaluations, MISSED, bucketOf, quantile } from "./quantiles.js";

/** Tenants that are counted: beyond what one host serves. */
const MAX_TENANTS = 20_000;
/** Lifecycle events that are kept, of all tenants together. */
export const MAX_EVENTS = 500;
/** Tenants whose evaluation times are kept over time, 100 KB each; of the others only the last minutes'. */
const MAX_DETAILED = 64;
/** Times of being connected that are remembered; older ones have left the charts long ago. */
const MAX_COVERED = 64;

/** What the charts show. */
export const CHART_SECONDS = 300;
/** What "now" is: long enough not to flicker, short enough to follow. */
const NOW_SECONDS = 5;
/** What shares and quantiles are taken over. */
const MINUTE = 60;

/** Counts of all decisions are finer, for the chart that is looked at most. */
const TOTAL_WIDTH = 2;
const TENANT_WIDTH = 5;

/** The decisions of one tenant, or of all. */
class Stats {
  /** @param {number} width seconds of a point in the chart */
  constructor(width) {
    this.recent = new Counts(NOW_SECONDS + 3, 1);
    this.counts = new Counts(CHART_SECONDS / width + 1, width);
    /** The last one to two minutes, in little room. */
    this.rolling = new Evaluations(2, MINUTE);
    /** @type {Evaluations|null} */
    this.detailed = null;
    /** Decisions a second by /metrics, where there is no stream. @type {number|null} */
    this.polledRate = null;
  }

  detail() {
    this.detailed ??= new Evaluations(CHART_SECONDS / TENANT_WIDTH + 1, TENANT_WIDTH);
  }

  /** @param {number} second @param {number} kind @param {number} n */
  count(second, kind, n) {
    this.recent.add(second, kind, n);
    this.counts.add(second, kind, n);
  }

  /** @param {number} second @param {number} bucket @param {number} n */
  evaluated(second, bucket, n) {
    this.rolling.add(second, bucket, n);
    this.detailed?.add(second, bucket, n);
  }
}

/**
 * @typedef {object} Figures
 * @property {number|null} rate decisions a second now
 * @property {number|null} allowRate
 * @property {number|null} denyRate
 * @property {number} decided in the last minute
 * @property {number|null} denyShare in the last minute
 * @property {number|null} p50 microseconds, of the last minutes
 * @property {number|null} p99
 */

export class Store {
  /** @param {Alerts} alerts */
  constructor(alerts) {
    this.alerts = alerts;
    this.feed = new Feed();
    /** @type {Map<string, any>} as /v1/tenants gives them */
    this.tenants = new Map();
    /** Whether /v1/tenants has answered once. */
    this.listed = false;
    this.total = new Stats(TOTAL_WIDTH);
    this.total.detail();
    /** @type {Map<string, Stats>} */
    this.stats = new Map();
    /** @type {Map<string, Stats>} those with details, the oldest first */
    this.detailed = new Map();
    /** Lifecycle events, the newest first. @type {any[]} */
    this.events = [];
    /** Decisions that this page was told of. */
    this.received = 0;
    this.streaming = false;
    /** @type {import("./openmetrics.js").MetricsReader|null} */
    this.metrics = null;
    this.metricsAt = 0;
    this.streamedSinceMetrics = false;
    /** When decisions were followed, in seconds. @type {{from: number, to: number|null}[]} */
    this.covered = [];
    /** Grows whenever the list of tenants is another. */
    this.tenantsVersion = 0;
  }

  /** @param {boolean} streaming @param {number} now */
  setStreaming(streaming, now) {
    if (streaming === this.streaming) return;
    this.streaming = streaming;
    if (streaming) {
      this.streamedSinceMetrics = true;
      this.feed.connected(now);
      this.covered.push({ from: now / 1000, to: null });
      if (this.covered.length > MAX_COVERED) this.covered.shift();
    } else {
      const last = this.covered.at(-1);
      if (last?.to === null) last.to = now / 1000;
    }
  }

  /**
   * A message of the stream.
   * @param {string} text @param {number} now milliseconds
   * @returns {string} its type; empty for what is none
   */
  onText(text, now) {
    /** @type {any} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return "";
    }
    switch (message?.type) {
      case "decision": {
        const decision = decisionOf(message.data, text, now);
        if (decision !== null) this.decided(decision, now);
        break;
      }
      case "lagged":
        this.feed.lagged(missedOf(message), now);
        break;
      case "tenant":
        this.changed(message.data, now);
        break;
      case "quota_warning":
        this.alerts.quota(message.data, now);
        break;
      default:
        return "";
    }
    return message.type;
  }

  /** @param {import("./feed.js").Decision} decision @param {number} now */
  decided(decision, now) {
    this.received += 1;
    const second = now / 1000;
    const stats = this.statsOf(decision.tenant);
    const missed = this.feed.push(decision);
    const kind = decision.allow ? ALLOW : DENY;
    const bucket = bucketOf(decision.micros);
    this.total.count(second, kind, 1);
    this.total.evaluated(second, bucket, 1);
    stats?.count(second, kind, 1);
    stats?.evaluated(second, bucket, 1);
    if (missed > 0) {
      this.total.count(second, MISSED, missed);
      stats?.count(second, MISSED, missed);
    }
    if (!decision.allow) this.alerts.denied(decision.tenant, decision.reason, decision.at);
  }

  /** @param {any} data @param {number} now */
  changed(data, now) {
    if (typeof data?.tenant_id !== "string") return;
    this.events.unshift({ ...data, at: Date.parse(data.timestamp) || now });
    this.events.length = Math.min(this.events.length, MAX_EVENTS);
    if (data.change === "added" || data.change === "removed") this.feed.forget(data.tenant_id);
    this.alerts.changed(data, now);
  }

  /** @param {string} id @returns {Stats|null} */
  statsOf(id) {
    let stats = this.stats.get(id);
    if (stats === undefined) {
      if (this.stats.size >= MAX_TENANTS) return null;
      stats = new Stats(TENANT_WIDTH);
      this.stats.set(id, stats);
      if (this.detailed.size < MAX_DETAILED) {
        stats.detail();
        this.detailed.set(id, stats);
      }
    }
    return stats;
  }

  /** Keeps this tenant's evaluation times over time from now on. @param {string} id */
  follow(id) {
    const stats = this.statsOf(id);
    if (stats === null || stats.detailed !== null) return;
    for (const [other, dropped] of this.detailed) {
      if (this.detailed.size < MAX_DETAILED) break;
      dropped.detailed = null;
      this.detailed.delete(other);
    }
    stats.detail();
    this.detailed.set(id, stats);
    for (const entry of this.feed.all()) {
      if (entry.kind === "decision" && entry.tenant === id) stats.detailed?.add(entry.at / 1000, bucketOf(entry.micros));
    }
  }

  /** The answer of /v1/tenants. @param {any} answer */
  setTenants(answer) {
    if (!Array.isArray(answer?.result)) return;
    const list = answer.result.filter((/** @type {any} */ t) => typeof t?.tenant_id === "string").slice(0, MAX_TENANTS);
    /** One copy of the layers, which are the same for nearly all tenants. @type {Map<string, string[]>} */
    const layers = new Map();
    const tenants = new Map();
    for (const tenant of list) {
      const names = Array.isArray(tenant.sandbox) ? tenant.sandbox.map(String) : [];
      const key = names.join();
      if (!layers.has(key)) layers.set(key, names);
      tenant.sandbox = layers.get(key);
      tenants.set(tenant.tenant_id, tenant);
    }
    this.tenants = tenants;
    this.listed = true;
    this.tenantsVersion += 1;
    for (const id of this.stats.keys()) {
      if (tenants.has(id)) continue;
      this.stats.delete(id);
      this.detailed.delete(id);
      this.feed.forget(id);
    }
    this.alerts.listed(list);
  }

  /** A whole reading of /metrics. @param {import("./openmetrics.js").MetricsReader} metrics @param {number} now */
  setMetrics(metrics, now) {
    const before = this.metrics;
    if (before !== null && !this.streamedSinceMetrics) this.difference(before, metrics, now);
    this.metrics = metrics;
    this.metricsAt = now;
    this.streamedSinceMetrics = this.streaming;
  }

  /**
   * Without a stream, what /metrics grew by is spread over the time that it took.
   * @param {import("./openmetrics.js").MetricsReader} before
   * @param {import("./openmetrics.js").MetricsReader} after @param {number} now
   */
  difference(before, after, now) {
    const from = this.metricsAt / 1000;
    const to = now / 1000;
    const seconds = Math.max(1, Math.round(to - from));
    if (seconds > CHART_SECONDS) return;
    let total = 0;
    for (const [id, metrics] of after.tenants) {
      const old = before.tenants.get(id);
      const stats = this.statsOf(id);
      if (old === undefined || stats === null) continue;
      const allowed = metrics.allow - old.allow;
      const denied = metrics.deny - old.deny;
      stats.polledRate = Math.max(0, (allowed + denied) / (to - from));
      if (allowed < 0 || denied < 0 || allowed + denied === 0) continue;
      total += allowed + denied;
      for (const [kind, n] of [[ALLOW, allowed], [DENY, denied]]) {
        for (let i = 0; i < seconds; i += 1) {
          const part = Math.floor(((i + 1) * n) / seconds) - Math.floor((i * n) / seconds);
          if (part === 0) continue;
          stats.count(from + i, kind, part);
          this.total.count(from + i, kind, part);
        }
      }
      for (const { micros, count } of newEvaluations(old.buckets, metrics.buckets)) {
        stats.evaluated(to, bucketOf(micros), count);
        this.total.evaluated(to, bucketOf(micros), count);
      }
      if (denied > 0) this.alerts.denied(id, null, now, denied);
    }
    this.total.polledRate = total / (to - from);
    this.covered.push({ from, to });
    if (this.covered.length > MAX_COVERED) this.covered.shift();
  }

  /** How many of the seconds between these two were followed. @param {number} from @param {number} to */
  coveredSeconds(from, to) {
    let seconds = 0;
    for (const span of this.covered) {
      seconds += Math.max(0, Math.min(to, span.to ?? to) - Math.max(from, span.from));
    }
    return seconds;
  }

  /**
   * @param {string|null} id null for all tenants @param {number} now
   * @returns {Figures}
   */
  figures(id, now) {
    const stats = id === null ? this.total : this.stats.get(id);
    const second = now / 1000;
    const whole = Math.floor(second);
    const covered = Math.min(NOW_SECONDS, this.coveredSeconds(whole - NOW_SECONDS, whole));
    const known = this.streaming && covered > 0;
    if (stats === undefined) {
      const rate = known ? 0 : null;
      return { rate, allowRate: rate, denyRate: rate, decided: 0, denyShare: null, p50: null, p99: null };
    }
    const [allowNow, denyNow, missedNow] = stats.recent.sum(whole - NOW_SECONDS, whole - 1);
    const [allow, deny] = stats.counts.last(second, MINUTE);
    const evaluations = allow + deny > 0 ? stats.rolling.last(second, 2 * MINUTE) : null;
    return {
      rate: known ? (allowNow + denyNow + missedNow) / covered : this.streaming ? null : stats.polledRate,
      allowRate: known ? allowNow / covered : null,
      denyRate: known ? denyNow / covered : null,
      decided: allow + deny,
      denyShare: allow + deny > 0 ? deny / (allow + deny) : null,
      p50: evaluations && quantile(evaluations, 0.5),
      p99: evaluations && quantile(evaluations, 0.99),
    };
  }

  /**
   * Decisions a second over the last minutes: only whole points, and null where nobody followed.
   * @param {string|null} id @param {number} now
   */
  rates(id, now) {
    const stats = id === null ? this.total : this.stats.get(id);
    const width = id === null ? TOTAL_WIDTH : TENANT_WIDTH;
    return this.points(width, now, (stamp) => {
      const [allow, deny, missed] = stats?.counts.sum(stamp, stamp) ?? [0, 0, 0];
      return { allow: allow / width, deny: deny / width, missed: missed / width };
    });
  }

  /** Evaluation times over the last minutes. @param {string|null} id @param {number} now */
  evaluations(id, now) {
    const detailed = (id === null ? this.total : this.stats.get(id))?.detailed;
    return this.points(TENANT_WIDTH, now, (stamp) => {
      if (!detailed || detailed.find(stamp) < 0) return null;
      const merged = detailed.sum(stamp, stamp);
      const p50 = quantile(merged, 0.5);
      return p50 === null ? null : { p50, p99: quantile(merged, 0.99) };
    });
  }

  /**
   * @template T
   * @param {number} width @param {number} now @param {(stamp: number) => T|null} read
   * @returns {{from: number, width: number, points: (T|null)[]}} `from` in seconds
   */
  points(width, now, read) {
    const end = Math.floor(now / 1000 / width);
    const first = end - CHART_SECONDS / width;
    const points = [];
    for (let stamp = first; stamp < end; stamp += 1) {
      const covered = this.coveredSeconds(stamp * width, (stamp + 1) * width) > width / 2;
      points.push(covered ? read(stamp) : null);
    }
    return { from: first * width, width, points };
  }

  /** How many tenants are in each state. */
  states() {
    /** @type {Map<string, number>} */
    const states = new Map();
    for (const { state } of this.tenants.values()) states.set(state, (states.get(state) ?? 0) + 1);
    return states;
  }
}
