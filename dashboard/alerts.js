// What an operator has to have seen. Pure: what happens comes in, what to show comes out.
// One alert stands for all of its kind and tenant, so a storm is one line with a number.

import { isServerError } from "./errors.js";

/** Alerts that are kept until they are seen. */
export const MAX_ALERTS = 200;
/** Seen ones that can still be looked at. */
const MAX_SEEN = 30;
/** Tenants whose last known trouble is remembered, so that it is not told again: as many as there are. */
const MAX_KNOWN = 20_000;
/** Characters of a message, and errors of a bundle, that an alert keeps: it is stored. */
const MAX_MESSAGE = 500;
const MAX_ERRORS = 5;
/** The list of tenants and the stream may date the same trouble a little differently. */
const SAME_MILLIS = 3_000;
/** After this, what the last minute is compared with has changed as well. */
const SHIFT_MILLIS = 11 * 60_000;

/** The kinds, the gravest first. */
export const KINDS = ["quarantined", "rejected", "failing", "crashed", "failed", "errors", "shift", "quota"];
/** Those that do not end by themselves, or that cost decisions. The others are warnings. */
const GRAVE = new Set(["quarantined", "rejected", "failing", "errors", "failed"]);

/** What happens to a tenant, and of which kind of alert it is. @type {Record<string, string|undefined>} */
const KIND_OF = { quarantined: "quarantined", rejected: "rejected", failing: "failing", crashed: "crashed", unreadable: "failed", failed: "failed" };
/** States in which nothing of this is the case any more. */
const WELL = new Set(["ready", "asleep", "waiting"]);

/**
 * @typedef {object} Alert
 * @property {string} key
 * @property {string} kind one of KINDS
 * @property {string} tenant
 * @property {number} count
 * @property {number} first milliseconds
 * @property {number} last
 * @property {string} message
 * @property {string} code of errors; empty for others
 * @property {{code: string, message: string, location: object|null}[]} errors
 * @property {boolean} [fromList] told by the list of tenants, and not yet by the stream
 * @property {number|null} over when it was no longer the case; null while it is, or while nobody knows
 */

export class Alerts {
  constructor() {
    /** @type {Map<string, Alert>} */
    this.problems = new Map();
    /** @type {Alert[]} the newest first */
    this.seen = [];
    /** @type {Map<string, number>} tenant to when its last known trouble was */
    this.known = new Map();
    /** @type {Map<string, {up: boolean, at: number}>} tenant to the last change of its denials that was told */
    this.shifts = new Map();
    /** Grows with every change, so that others can tell whether there was one. */
    this.version = 0;
    /** The last problem, for those who cannot see it arrive. @type {Alert|null} */
    this.newest = null;
  }

  /**
   * A `tenant` event of the stream.
   * @param {any} data @param {number} now @param {boolean} [isPast] from before this page was opened: it may be known
   */
  changed(data, now, isPast = false) {
    if (typeof data?.tenant_id !== "string") return;
    const at = Date.parse(data.timestamp) || now;
    const { tenant_id: tenant, change } = data;
    if (change === "recovered" || change === "reloaded" || change === "ready") this.ended(tenant, at, change);
    const kind = KIND_OF[change];
    if (kind === undefined) return;
    const known = this.known.get(tenant) ?? 0;
    if (isPast && at <= known) return;
    // The list of tenants may have told it already.
    for (const other of Math.abs(at - known) <= SAME_MILLIS ? KINDS : []) {
      const told = this.problems.get(`${other} ${tenant}`);
      if (!told?.fromList) continue;
      told.fromList = false;
      if (other === kind) return;
      // The event knows better what it was.
      if (told.count === 1) this.problems.delete(told.key);
    }
    if (kind === "failing") this.fails(tenant, at, String(data.message ?? ""));
    else this.problem(kind, tenant, at, String(data.message ?? ""), data.errors);
  }

  /** What was told of its errors becomes the graver alert. @param {string} tenant @param {number} at @param {string} message */
  fails(tenant, at, message) {
    const errors = this.problems.get(`errors ${tenant}`);
    const failing = this.problems.get(`failing ${tenant}`);
    if (errors !== undefined) this.problems.delete(errors.key);
    const alert = this.problem("failing", tenant, at, message, errors?.errors);
    alert.code ||= errors?.code ?? "";
    alert.first = Math.min(alert.first, errors?.first ?? at);
    // Its number is that of the requests, and not of the times that it began.
    alert.count = (failing === undefined ? 0 : alert.count - 1) + (errors?.count ?? 0);
  }

  /** An `error` of the stream. @param {any} data @param {number} now @param {boolean} [isPast] */
  errored(data, now, isPast = false) {
    if (typeof data?.tenant_id !== "string" || !isServerError(String(data.code), Number(data.status) || 0)) return;
    const { tenant_id: tenant } = data;
    const at = Date.parse(data.timestamp) || now;
    if (isPast && at <= (this.known.get(tenant) ?? 0)) return;
    const failing = this.problems.get(`failing ${tenant}`);
    const kind = failing !== undefined && failing.over === null ? "failing" : "errors";
    this.problem(kind, tenant, at, String(data.message ?? ""), data.errors, String(data.code));
  }

  /** A `quota_warning` of the stream. @param {any} data @param {number} now @param {boolean} [isPast] */
  quota(data, now, isPast = false) {
    if (typeof data?.tenant_id !== "string") return;
    const at = Date.parse(data.timestamp) || now;
    const known = this.known.get(data.tenant_id);
    if (isPast && at <= (known ?? 0)) return;
    this.problem("quota", data.tenant_id, at, String(data.message ?? ""), [], data.level === "exceeded" ? "quota_exceeded" : "");
    // It says nothing about other trouble of the tenant.
    if (known === undefined) this.known.delete(data.tenant_id);
    else this.known.set(data.tenant_id, known);
  }

  /**
   * Its share of denials is another one than it was.
   * @param {string} tenant @param {import("./shift.js").Shift|null} shift @param {number} at @param {(shift: any) => string} words
   */
  shifted(tenant, shift, at, words) {
    const told = this.shifts.get(tenant);
    const alert = this.problems.get(`shift ${tenant}`);
    if (shift === null) {
      if (alert !== undefined && alert.over === null) this.end(alert, at);
      return;
    }
    const up = shift.is > shift.was;
    // It is the same one for as long as the ten minutes before still look different.
    if (told !== undefined && told.up === up && at - told.at < SHIFT_MILLIS) return;
    this.shifts.delete(tenant);
    this.shifts.set(tenant, { up, at });
    trim(this.shifts, MAX_KNOWN);
    const known = this.known.get(tenant);
    this.problem("shift", tenant, at, words(shift), []);
    // It says nothing about other trouble of the tenant.
    if (known === undefined) this.known.delete(tenant);
    else this.known.set(tenant, known);
  }

  /** What the list of tenants says: trouble from before the page was opened, and what is over. @param {any[]} tenants @param {number} [now] */
  listed(tenants, now = Date.now()) {
    for (const tenant of tenants) {
      const id = tenant.tenant_id;
      if (WELL.has(tenant.state) && !tenant.last_error) this.ended(id, now, "listed");
      const failed = tenant.state === "failing" ? tenant.last_evaluation_error : null;
      if (failed) this.told(id, "failing", failed, failed.count, String(failed.code ?? ""), Date.parse(tenant.since));
      if (!failed && !tenant.last_error && KIND_OF[tenant.state] === tenant.state) {
        this.told(id, tenant.state, { at: tenant.since, message: tenant.quarantine?.reason }, 1, "");
      }
      if (tenant.last_error) {
        const { state, last_error: error } = tenant;
        const kind = state === "quarantined" || (tenant.quarantine && state !== "rejected") ? "quarantined" : state === "rejected" || error.errors?.length > 0 ? "rejected" : "failed";
        this.told(id, kind, error, 1, "");
      }
    }
  }

  /** @param {string} tenant @param {string} kind @param {any} error @param {number} count @param {string} code @param {number} [since] */
  told(tenant, kind, error, count, code, since = NaN) {
    const at = Date.parse(error?.at);
    const open = this.problems.get(`${kind} ${tenant}`);
    // The stream may have missed some of them.
    if (kind === "failing" && open !== undefined && count > open.count) {
      open.count = count;
      this.version += 1;
    }
    if (open !== undefined && since < open.first) open.first = since;
    if (Number.isNaN(at) || at <= (this.known.get(tenant) ?? 0) + SAME_MILLIS) return;
    const alert = this.problem(kind, tenant, at, String(error.message ?? ""), error.errors, code);
    alert.count = Math.max(alert.count, count || 1);
    if (since < alert.first) alert.first = since;
    alert.fromList = true;
  }

  /** Nothing that happened to this tenant is the case any more. @param {string} tenant @param {number} at @param {string} change */
  ended(tenant, at, change) {
    if (this.problems.size === 0) return;
    for (const kind of KINDS) {
      if (kind === "shift" || kind === "quota") continue;
      // A bundle that is repaired does not say that its evaluations go well, and the other way round.
      if (change === "recovered" && kind !== "failing" && kind !== "errors") continue;
      if (change === "ready" && (kind === "failing" || kind === "errors")) continue;
      if (change === "listed" && kind === "errors") continue;
      const alert = this.problems.get(`${kind} ${tenant}`);
      if (alert !== undefined && alert.over === null && alert.last <= at) this.end(alert, at);
    }
  }

  /** @param {Alert} alert @param {number} at */
  end(alert, at) {
    alert.over = at;
    this.version += 1;
  }

  /**
   * @param {string} kind @param {string} tenant @param {number} at @param {string} message
   * @param {any[]|undefined} errors @param {string} [code]
   */
  problem(kind, tenant, at, message, errors, code = "") {
    this.version += 1;
    this.known.delete(tenant);
    this.known.set(tenant, Math.max(at, this.known.get(tenant) ?? 0));
    trim(this.known, MAX_KNOWN);
    const key = `${kind} ${tenant}`;
    const alert = this.problems.get(key) ?? { key, kind, tenant, count: 0, first: at, last: at, message: "", code: "", errors: [], over: null };
    alert.count += 1;
    alert.last = Math.max(alert.last, at);
    alert.over = null;
    if (code !== "") alert.code = code;
    alert.message = cutMessage(message);
    alert.errors = (Array.isArray(errors) ? errors : []).slice(0, MAX_ERRORS).map((error) => ({
      code: cutMessage(String(error?.code ?? "")),
      message: cutMessage(String(error?.message ?? "")),
      location: error?.location ?? null,
      line: cutMessage(String(error?.line ?? "")),
      help: cutMessage(String(error?.help ?? "")),
    }));
    // The latest is the last to be dropped.
    this.problems.delete(key);
    this.problems.set(key, alert);
    trim(this.problems, MAX_ALERTS);
    this.newest = alert;
    return alert;
  }

  /** Those that were not seen: what is still the case first, then the gravest, of equals the latest. @returns {Alert[]} */
  unseen() {
    return [...this.problems.values()].sort((a, b) =>
      Number(a.over !== null) - Number(b.over !== null) || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.last - a.last);
  }

  /** How many were not seen, and how many of those are grave and still the case. */
  get counts() {
    let grave = 0;
    for (const alert of this.problems.values()) if (GRAVE.has(alert.kind) && alert.over === null) grave += 1;
    return { all: this.problems.size, grave };
  }

  /** @param {string} key */
  markSeen(key) {
    const alert = this.problems.get(key);
    if (alert === undefined) return;
    this.problems.delete(key);
    this.seen.unshift(alert);
    this.seen.length = Math.min(this.seen.length, MAX_SEEN);
    this.version += 1;
  }

  markAll() {
    for (const alert of this.unseen().reverse()) this.markSeen(alert.key);
  }

  /** What a reload must not lose; bounded as all of it is. */
  save() {
    return JSON.stringify({ problems: [...this.problems.values()], seen: this.seen, known: [...this.known], shifts: [...this.shifts] });
  }

  /** @param {string|null} text what `save` gave; anything else is ignored */
  static load(text) {
    const alerts = new Alerts();
    try {
      const saved = JSON.parse(text ?? "null");
      if (saved === null) return alerts;
      const valid = (/** @type {any[]} */ list) =>
        list.filter((a) => typeof a.tenant === "string" && KINDS.includes(a.kind) && Array.isArray(a.errors));
      alerts.problems = new Map(valid(saved.problems).slice(-MAX_ALERTS).map((a) => [a.key, a]));
      alerts.seen = valid(saved.seen).slice(0, MAX_SEEN);
      alerts.known = new Map(saved.known.slice(-MAX_KNOWN));
      alerts.shifts = new Map(saved.shifts.slice(-MAX_KNOWN));
    } catch {
      return new Alerts();
    }
    return alerts;
  }
}

/** @param {string} message */
function cutMessage(message) {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
}

/** Drops the oldest. @param {Map<string, unknown>} map @param {number} most */
function trim(map, most) {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
