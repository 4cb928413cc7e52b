// All that the dashboard knows. Pure: messages, answers and the time come in; views read.

import { Alerts } from "./alerts.js";
import { isServerError } from "./errors.js";
import { Feed, decisionOf, failureOf, missedOf } from "./feed.js";
import { shareWords } from "./format.js";
import { countGrowth, Host } from "./host.js";
import { ALLOW, DENY, ERROR, MISSED, bucketOf, quantile } from "./quantiles.js";
import { MIN_DECISIONS, shiftOf } from "./shift.js";
import { Spans } from "./spans.js";
import { CHART_SECONDS, MINUTE, NOW_SECONDS, Stats, WIDTH } from "./stats.js";

/** Tenants that are counted: beyond what one host serves. */
const MAX_TENANTS = 20_000;
/** Lifecycle events that are kept, of all tenants together. */
export const MAX_EVENTS = 500;
/** Tenants whose evaluation times are kept over time, 100 KB each; of the others only the last minutes'. */
const MAX_DETAILED = 64;
/** Messages that wait for the server's history. A host that sends more is not kept waiting. */
const MAX_HELD = 5_000;
/** Tenants' shares of denials are compared this often. */
const SHIFT_MILLIS = 5_000;
/** After this long without a further one, errors and warnings of quotas are over. */
const QUIET_MILLIS = 5 * 60_000;

/**
 * @typedef {object} Figures
 * @property {number|null} rate decisions a second now
 * @property {number|null} allowRate
 * @property {number|null} denyRate
 * @property {number|null} errorRate
 * @property {number} decided in the last minute
 * @property {number|null} denyShare in the last minute
 * @property {number} errors requests that failed in the last minute
 * @property {number|null} p50 microseconds, in the last minute
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
    this.total = new Stats();
    this.total.detail();
    /** @type {Map<string, Stats>} */
    this.stats = new Map();
    /** @type {Map<string, Stats>} those with details, the oldest first */
    this.detailed = new Map();
    /** Lifecycle events, the newest first. @type {any[]} */
    this.events = [];
    this.maxEvents = MAX_EVENTS;
    /** Decisions that this page was told of. */
    this.received = 0;
    this.streaming = false;
    /** @type {Host|null} as /v1/overview gives it */
    this.host = null;
    this.streamedSinceHost = false;
    /** When the stream was followed, in seconds. */
    this.followed = new Spans();
    /** The same, and the times that the server's history or its totals tell of. */
    this.known = new Spans();
    /** Events of the server's history; the stream may send them again. @type {Set<string>} */
    this.remembered = new Set();
    /** Decisions before this, by the server's clock, are in the history's counts. */
    this.countedUntil = 0;
    /** The same for its evaluation times, in seconds by this page's clock. */
    this.evaluatedUntil = 0;
    /** Messages that wait for the history; null: none has to. @type {{text: string, now: number}[]|null} */
    this.held = null;
    /** Whether the history was asked for, and came or will not come. */
    this.settled = false;
    /** Grows whenever the history came, so that what is drawn now and then is drawn at once. */
    this.fills = 0;
    this.comparedAt = 0;
    /** Grows whenever the list of tenants is another. */
    this.tenantsVersion = 0;
  }

  /** The time by the server's clock. @param {number} now */
  serverTime(now) {
    return now + (this.host?.ahead ?? 0);
  }

  /** @param {boolean} streaming @param {number} now */
  setStreaming(streaming, now) {
    if (streaming === this.streaming) return;
    this.streaming = streaming;
    if (streaming) {
      this.streamedSinceHost = true;
      this.feed.connected(now);
      this.followed.add(now / 1000, Infinity);
      this.known.add(now / 1000, Infinity);
    } else {
      this.followed.end(now / 1000);
      this.known.end(now / 1000);
    }
  }

  /** Messages wait from now on, so that what is older comes first. */
  hold() {
    this.held ??= [];
  }

  /** The history came, or will not come. */
  release() {
    /** @type {{text: string, now: number}[]} */
    const held = this.held ?? [];
    this.held = null;
    this.settled = true;
    for (const { text, now } of held) this.onText(text, now);
  }

  /**
   * A message of the stream.
   * @param {string} text @param {number} now milliseconds
   * @returns {string} its type; empty where it waits, and for what is no message
   */
  onText(text, now) {
    if (this.held !== null) {
      this.held.push({ text, now });
      if (this.held.length > MAX_HELD) this.release();
      return "";
    }
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
        if (decision === null) break;
        if (this.remembered.has(decision.eventId)) this.feed.note(decision);
        else this.decided(decision, now);
        break;
      }
      case "error": {
        const failure = failureOf(message.data, text, now);
        if (failure !== null && !this.remembered.has(failure.eventId)) this.errored(failure, message.data, now);
        break;
      }
      case "lagged":
        this.feed.lagged(missedOf(message), now);
        break;
      case "tenant":
        if (!this.remembered.has(message.data?.event_id)) this.changed(message.data, now);
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
    const missed = this.feed.push(decision);
    this.counted(decision, now);
    if (missed > 0) {
      this.total.count(now / 1000, MISSED, missed);
      this.statsOf(decision.tenant)?.count(now / 1000, MISSED, missed);
    }
  }

  /**
   * Counts a decision, unless the history's counts have it.
   * @param {import("./feed.js").Decision} decision @param {number} now
   * @param {boolean} [isPast] from before the stream: it is part of the charts, but not of the rate now
   */
  counted(decision, now, isPast = false) {
    this.received += 1;
    if (decision.at < this.countedUntil) return;
    const kind = decision.allow ? ALLOW : DENY;
    for (const stats of [this.total, this.statsOf(decision.tenant)]) {
      if (isPast) stats?.counts.add(now / 1000, kind);
      else stats?.count(now / 1000, kind, 1);
      stats?.evaluated(now / 1000, bucketOf(decision.micros), 1);
    }
  }

  /** @param {import("./feed.js").Failure} failure @param {any} data @param {number} now */
  errored(failure, data, now) {
    this.feed.add(failure);
    this.failed(failure, now);
    const micros = Number(data.metrics?.eval_duration_micros) || 0;
    if (micros > 0) for (const stats of [this.total, this.statsOf(failure.tenant)]) stats?.evaluated(now / 1000, bucketOf(micros), 1);
    this.alerts.errored(data, now);
  }

  /** Counts an error of the server's, unless the history's counts have it. @param {import("./feed.js").Failure} failure @param {number} now */
  failed(failure, now) {
    if (failure.at < this.countedUntil || !isServerError(failure.code, failure.status)) return;
    this.total.count(now / 1000, ERROR, 1);
    this.statsOf(failure.tenant)?.count(now / 1000, ERROR, 1);
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
      stats = new Stats();
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
    const detailed = stats.detail();
    this.detailed.set(id, stats);
    const ahead = this.host?.ahead ?? 0;
    for (const entry of this.feed.all()) {
      if (entry.kind === "decision" && entry.tenant === id) detailed.add((entry.at - ahead) / 1000, bucketOf(entry.micros));
    }
  }

  /** The answer of /v1/tenants. @param {any} answer @param {number} [now] */
  setTenants(answer, now = Date.now()) {
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
    this.alerts.listed(list, this.serverTime(now));
  }

  /** The answer of /v1/overview. @param {any} answer @param {number} now */
  setHost(answer, now) {
    if (answer?.result === null || typeof answer?.result !== "object") return;
    const host = new Host(answer.result, now);
    const before = this.host;
    if (before !== null && before.started === host.started && !this.streamedSinceHost) countGrowth(this, before, host, now);
    this.host = host;
    this.streamedSinceHost = this.streaming;
  }

  /** Looks whether a tenant denies another share than it did, and what is over. @param {number} now */
  compare(now) {
    if (now - this.comparedAt < SHIFT_MILLIS) return;
    this.comparedAt = now;
    for (const [id, stats] of this.stats) {
      const { before, last } = stats.compared(now / 1000, MIN_DECISIONS);
      this.alerts.shifted(id, before === null ? null : shiftOf(before, last), this.serverTime(now), shiftWords);
    }
    for (const alert of this.alerts.problems.values()) {
      // Quotas are warned of once a minute for as long as it lasts.
      if ((alert.kind === "errors" || alert.kind === "quota") && alert.over === null && this.serverTime(now) - alert.last > QUIET_MILLIS) this.alerts.end(alert, alert.last);
    }
  }

  /**
   * @param {string|null} id null for all tenants @param {number} now
   * @returns {Figures}
   */
  figures(id, now) {
    const stats = id === null ? this.total : this.stats.get(id);
    const second = now / 1000;
    const whole = Math.floor(second);
    const followed = Math.min(NOW_SECONDS, this.followed.seconds(whole - NOW_SECONDS, whole));
    const known = this.streaming && followed > 0;
    if (stats === undefined) {
      const rate = known ? 0 : null;
      return { rate, allowRate: rate, denyRate: rate, errorRate: rate, decided: 0, denyShare: null, errors: 0, p50: null, p99: null };
    }
    const [allowNow, denyNow, missedNow, errorNow] = stats.recent.sum(whole - NOW_SECONDS, whole - 1);
    const [allow, deny, , errors] = stats.counts.last(second, MINUTE);
    const evaluations = allow + deny + errors > 0 ? stats.rolling.last(second, MINUTE) : null;
    return {
      rate: known ? (allowNow + denyNow + missedNow) / followed : this.streaming ? null : stats.polledRate,
      allowRate: known ? allowNow / followed : null,
      denyRate: known ? denyNow / followed : null,
      errorRate: known ? errorNow / followed : null,
      decided: allow + deny,
      denyShare: allow + deny > 0 ? deny / (allow + deny) : null,
      errors,
      p50: evaluations && quantile(evaluations, 0.5),
      p99: evaluations && quantile(evaluations, 0.99),
    };
  }

  /**
   * Requests a second over the last minutes: only whole points, and null where nothing is known.
   * @param {string|null} id @param {number} now
   */
  rates(id, now) {
    const stats = id === null ? this.total : this.stats.get(id);
    return this.points(now, (stamp, known) => {
      const [allow, deny, missed, error] = stats?.counts.sum(stamp, stamp) ?? [0, 0, 0, 0];
      return { allow: allow / known, deny: deny / known, missed: missed / known, error: error / known };
    });
  }

  /** Evaluation times over the last minutes. @param {string|null} id @param {number} now */
  evaluations(id, now) {
    const detailed = (id === null ? this.total : this.stats.get(id))?.detailed;
    return this.points(now, (stamp) => {
      if (!detailed || detailed.find(stamp) < 0) return null;
      const merged = detailed.sum(stamp, stamp);
      const p50 = quantile(merged, 0.5);
      return p50 === null ? null : { p50, p99: quantile(merged, 0.99) };
    });
  }

  /**
   * @template T
   * @param {number} now @param {(stamp: number, known: number) => T|null} read `known`: how many seconds of the point
   * @returns {{from: number, width: number, points: (T|null)[]}} `from` in seconds
   */
  points(now, read) {
    const end = Math.floor(now / 1000 / WIDTH);
    const first = end - CHART_SECONDS / WIDTH;
    const points = [];
    for (let stamp = first; stamp < end; stamp += 1) {
      const known = this.known.seconds(stamp * WIDTH, (stamp + 1) * WIDTH);
      // Less than a second of five is a guess.
      points.push(known >= 1 ? read(stamp, known) : null);
    }
    return { from: first * WIDTH, width: WIDTH, points };
  }

  /** How many tenants are in each state. */
  states() {
    /** @type {Map<string, number>} */
    const states = new Map();
    for (const { state } of this.tenants.values()) states.set(state, (states.get(state) ?? 0) + 1);
    return states;
  }
}

/** @param {import("./shift.js").Shift} shift */
function shiftWords({ was, is, before, now }) {
  return `It denied ${shareWords(is, now)} in the last minute, and ${shareWords(was, before)} in the ten minutes before.`;
}
