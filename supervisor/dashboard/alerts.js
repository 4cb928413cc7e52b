// What an operator has to have seen. Pure: what happens comes in, what to show comes out.
// One alert stands for all of its kind and tenant, so a storm is one line with a number.

/** Alerts that are no denials, and are kept until they are seen. */
export const MAX_PROBLEMS = 200;
/** Tenants whose denials are listed one by one; the rest is one line. */
export const MAX_DENIALS = 50;
/** Seen ones that can still be looked at. */
const MAX_SEEN = 30;
/** Tenants whose last known trouble is remembered, so that it is not told again: as many as there are. */
const MAX_KNOWN = 20_000;
/** Characters of a message, and errors of a bundle, that an alert keeps: it is stored. */
const MAX_MESSAGE = 500;
const MAX_ERRORS = 5;
/** The list of tenants and the stream may date the same trouble a little differently. */
const SAME_MILLIS = 3_000;

/** The kinds, the gravest first. */
export const KINDS = ["quarantined", "rejected", "crashed", "failed", "quota", "denial"];

/** What happens to a tenant, and of which kind of alert it is. */
const KIND_OF = { quarantined: "quarantined", rejected: "rejected", crashed: "crashed", unreadable: "failed", failed: "failed" };

/**
 * @typedef {object} Alert
 * @property {string} key
 * @property {string} kind one of KINDS
 * @property {string} tenant
 * @property {number} count
 * @property {number} first milliseconds
 * @property {number} last
 * @property {string} message
 * @property {{code: string, message: string, location: object|null}[]} errors
 * @property {boolean} [fromList] told by the list of tenants, and not yet by the stream
 */

export class Alerts {
  constructor() {
    /** @type {Map<string, Alert>} */
    this.problems = new Map();
    /** @type {Map<string, Alert>} */
    this.denials = new Map();
    /** Denials of tenants beyond MAX_DENIALS. */
    this.otherDenials = 0;
    /** @type {Alert[]} the newest first */
    this.seen = [];
    /** @type {Map<string, number>} tenant to when its last known trouble was */
    this.known = new Map();
    /** Grows with every change, so that others can tell whether there was one. */
    this.version = 0;
    /** The last problem, for those who cannot see it arrive. @type {Alert|null} */
    this.newest = null;
  }

  /** @param {string} tenant @param {string|null} reason @param {number} at @param {number} [n] */
  denied(tenant, reason, at, n = 1) {
    const alert = this.denials.get(tenant);
    this.version += 1;
    if (alert !== undefined) {
      alert.count += n;
      alert.last = at;
      if (reason !== null) alert.message = cutMessage(reason);
    } else if (this.denials.size < MAX_DENIALS) {
      const message = cutMessage(reason ?? "");
      this.denials.set(tenant, { key: `denial ${tenant}`, kind: "denial", tenant, count: n, first: at, last: at, message, errors: [] });
    } else {
      this.otherDenials += n;
    }
  }

  /** A `tenant` event of the stream. @param {any} data @param {number} now */
  changed(data, now) {
    const kind = KIND_OF[data?.change];
    if (kind === undefined || typeof data.tenant_id !== "string") return;
    const at = Date.parse(data.timestamp) || now;
    // The list of tenants may have told it already.
    const known = this.known.get(data.tenant_id) ?? 0;
    for (const other of Math.abs(at - known) <= SAME_MILLIS ? KINDS : []) {
      const told = this.problems.get(`${other} ${data.tenant_id}`);
      if (!told?.fromList) continue;
      told.fromList = false;
      if (other === kind) return;
      // The event knows better what it was.
      if (told.count === 1) this.problems.delete(told.key);
    }
    this.problem(kind, data.tenant_id, at, String(data.message ?? ""), data.errors);
  }

  /** A `quota_warning` of the stream. @param {any} data @param {number} now */
  quota(data, now) {
    if (typeof data?.tenant_id !== "string") return;
    this.problem("quota", data.tenant_id, Date.parse(data.timestamp) || now, String(data.message ?? ""), []);
  }

  /** What the list of tenants says: trouble from before the page was opened. @param {any[]} tenants */
  listed(tenants) {
    for (const tenant of tenants) {
      const error = tenant.last_error;
      const at = Date.parse(error?.at);
      if (!error || Number.isNaN(at)) continue;
      if (at <= (this.known.get(tenant.tenant_id) ?? 0) + SAME_MILLIS) continue;
      const kind =
        tenant.state === "quarantined" ? "quarantined"
        : tenant.state === "rejected" || error.errors?.length > 0 ? "rejected"
        : "failed";
      const alert = this.problem(kind, tenant.tenant_id, at, String(error.message ?? ""), error.errors);
      alert.fromList = true;
    }
  }

  /**
   * @param {string} kind @param {string} tenant @param {number} at @param {string} message
   * @param {any[]|undefined} errors
   */
  problem(kind, tenant, at, message, errors) {
    this.version += 1;
    this.known.delete(tenant);
    this.known.set(tenant, Math.max(at, this.known.get(tenant) ?? 0));
    trim(this.known, MAX_KNOWN);
    const key = `${kind} ${tenant}`;
    const alert = this.problems.get(key) ?? { key, kind, tenant, count: 0, first: at, last: at, message: "", errors: [] };
    alert.count += 1;
    alert.last = Math.max(alert.last, at);
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
    trim(this.problems, MAX_PROBLEMS);
    this.newest = alert;
    return alert;
  }

  /** Those that were not seen: the gravest first, of equals the latest. @returns {Alert[]} */
  unseen() {
    const problems = [...this.problems.values()];
    const denials = [...this.denials.values()];
    const order = (/** @type {Alert} */ a, /** @type {Alert} */ b) =>
      KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || b.last - a.last;
    return [...problems.sort(order), ...denials.sort((a, b) => b.count - a.count || (a.tenant < b.tenant ? -1 : 1))];
  }

  get counts() {
    return { problems: this.problems.size, denials: this.denials.size + (this.otherDenials > 0 ? 1 : 0) };
  }

  /** @param {string} key */
  markSeen(key) {
    const alert = this.problems.get(key) ?? [...this.denials.values()].find((denial) => denial.key === key);
    if (alert === undefined) return;
    this.problems.delete(key);
    if (alert.kind === "denial") this.denials.delete(alert.tenant);
    this.seen.unshift(alert);
    this.seen.length = Math.min(this.seen.length, MAX_SEEN);
    this.version += 1;
  }

  /** @param {"problems"|"denials"|"all"} which */
  markAll(which) {
    for (const alert of this.unseen().reverse()) {
      if (which === "all" || (alert.kind === "denial") === (which === "denials")) this.markSeen(alert.key);
    }
    if (which !== "problems") this.otherDenials = 0;
    this.version += 1;
  }

  /** What a reload must not lose; bounded as all of it is. */
  save() {
    return JSON.stringify({
      problems: [...this.problems.values()],
      denials: [...this.denials.values()],
      otherDenials: this.otherDenials,
      seen: this.seen,
      known: [...this.known],
    });
  }

  /** @param {string|null} text what `save` gave; anything else is ignored */
  static load(text) {
    const alerts = new Alerts();
    try {
      const saved = JSON.parse(text ?? "null");
      if (saved === null) return alerts;
      const valid = (/** @type {any[]} */ list) =>
        list.filter((a) => typeof a.tenant === "string" && KINDS.includes(a.kind) && Array.isArray(a.errors));
      alerts.problems = new Map(valid(saved.problems).slice(-MAX_PROBLEMS).map((a) => [a.key, a]));
      alerts.denials = new Map(valid(saved.denials).slice(0, MAX_DENIALS).map((a) => [a.tenant, a]));
      alerts.otherDenials = Number(saved.otherDenials) || 0;
      alerts.seen = valid(saved.seen).slice(0, MAX_SEEN);
      alerts.known = new Map(saved.known.slice(-MAX_KNOWN));
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
