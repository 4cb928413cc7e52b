// The newest decisions and errors of a stream, in order, with the gaps between them. Pure: the time
// comes in.

/** Decisions and gaps that are kept: some seconds of a busy host, hours of a quiet one. */
export const MAX_ENTRIES = 5_000;
/** Characters of messages that are kept: an input may be MiBs, and thousands of those are no dashboard. */
export const MAX_CHARACTERS = 32 * 1024 * 1024;
/** Tenants whose last sequence is remembered. */
const MAX_SEQUENCES = 20_000;
/** What may be remembered from before this page was opened: less than the server gives. */
const MAX_REMEMBERED = 2_000;
/** Entries at the front that may be empty before the list is moved up. */
const MAX_SLACK = 1_024;

/**
 * @typedef {object} Decision
 * @property {"decision"} kind
 * @property {number} id grows by one per entry of a page
 * @property {string} tenant
 * @property {number} at milliseconds; when it was made, by the supervisor's clock
 * @property {boolean} allow
 * @property {string|null} reason
 * @property {number} redactions
 * @property {number} micros
 * @property {number|null} sequence
 * @property {string} eventId
 * @property {string} raw the message as it came: the input is read from it when somebody asks
 *
 * @typedef {object} Failure a request that got no decision
 * @property {"error"} kind
 * @property {number} id
 * @property {string} tenant
 * @property {number} at
 * @property {string} code
 * @property {number} status
 * @property {string} message
 * @property {string} eventId
 * @property {string} raw
 *
 * @typedef {object} Gap
 * @property {"gap"} kind
 * @property {number} id
 * @property {"lagged"|"sequence"|"reconnected"|"restarted"|"opened"} why `opened`: what is older is from
 *   before this page was opened, and may not be all there was
 * @property {string|null} tenant
 * @property {number} at
 * @property {number|null} missed null where nobody knows how many
 *
 * @typedef {Decision|Failure|Gap} Entry
 */

let nextId = 1;
/** Entries from before count down, so that a later entry always has the larger id. */
let earlierId = 0;

/**
 * What is kept of a decision: little, and its message. The parsed input is many times the size of
 * its text, so it is not kept.
 * @param {any} data @param {string} raw @param {number} now
 * @returns {Decision|null}
 */
export function decisionOf(data, raw, now) {
  if (typeof data?.tenant_id !== "string" || typeof data.decision?.allow !== "boolean") return null;
  const at = Date.parse(data.timestamp);
  return {
    kind: "decision",
    id: 0,
    tenant: data.tenant_id,
    at: Number.isNaN(at) ? now : at,
    allow: data.decision.allow,
    reason: typeof data.decision.reason === "string" ? data.decision.reason : null,
    redactions: Array.isArray(data.decision.redact) ? data.decision.redact.length : 0,
    micros: Number(data.metrics?.eval_duration_micros) || 0,
    sequence: Number.isSafeInteger(data.sequence) ? data.sequence : null,
    eventId: typeof data.event_id === "string" ? data.event_id : "",
    raw,
  };
}

/** The same for a request that got no decision. @param {any} data @param {string} raw @param {number} now @returns {Failure|null} */
export function failureOf(data, raw, now) {
  if (typeof data?.tenant_id !== "string" || typeof data.code !== "string") return null;
  const at = Date.parse(data.timestamp);
  return {
    kind: "error",
    id: 0,
    tenant: data.tenant_id,
    at: Number.isNaN(at) ? now : at,
    code: data.code,
    status: Number(data.status) || 0,
    message: String(data.message ?? ""),
    eventId: typeof data.event_id === "string" ? data.event_id : "",
    raw,
  };
}

/** How many a `lagged` message says. @param {any} message @returns {number|null} */
export function missedOf(message) {
  return Number.isSafeInteger(message.missed) ? message.missed : null;
}

export class Feed {
  constructor() {
    /** @type {(Entry|undefined)[]} the oldest first */
    this.entries = [];
    this.head = 0;
    this.characters = 0;
    /** Entries that ever came, and how many of them were decisions or errors. */
    this.added = 0;
    this.events = 0;
    /** Grows when entries from before come in at the other end. */
    this.prefills = 0;
    /** @type {Map<string, Decision|Failure>} by the event's id */
    this.byEvent = new Map();
    /** @type {Map<string, {sequence: number, id: number, connection: number}>} */
    this.sequences = new Map();
    /** @type {Gap|null} what explains the jumps that follow it */
    this.marker = null;
    this.connection = 0;
    /** @type {Set<(entry: Entry) => void>} */
    this.listeners = new Set();
  }

  get size() {
    return this.entries.length - this.head;
  }

  /** The id of the newest entry; null where there is no entry. */
  get newest() {
    return this.entries.at(-1)?.id ?? null;
  }

  /** The decision or the error with this id, while it is kept. @param {string} eventId */
  find(eventId) {
    return this.byEvent.get(eventId) ?? null;
  }

  /** Oldest first. @returns {Entry[]} */
  all() {
    return /** @type {Entry[]} */ (this.entries.slice(this.head));
  }

  /**
   * What happened before this page was opened, the oldest first. It is no more than the server
   * remembers, so jumps of a sequence within it are no gaps.
   * @param {(Decision|Failure)[]} earlier @param {boolean} [marked] whether a line says so
   */
  prefill(earlier, marked = true) {
    const fresh = earlier.filter((entry) => !this.byEvent.has(entry.eventId)).slice(-Math.min(MAX_REMEMBERED, MAX_ENTRIES - this.size - 1));
    if (fresh.length === 0) return;
    /** @type {Gap} */
    const opened = { kind: "gap", id: 0, why: "opened", tenant: null, at: fresh[fresh.length - 1].at, missed: 0 };
    const entries = marked ? [...fresh, opened] : fresh;
    for (let i = entries.length - 1; i >= 0; i -= 1) {
      entries[i].id = earlierId;
      earlierId -= 1;
      this.account(entries[i]);
    }
    this.entries.splice(0, this.head, ...entries);
    this.head = 0;
    this.prefills += 1;
    this.bound();
  }

  /** A decision that is here already came again: its sequence counts. @param {Decision} decision */
  note({ tenant, sequence }) {
    const last = this.sequences.get(tenant);
    if (sequence === null || (last !== undefined && last.connection === this.connection && last.sequence >= sequence)) return;
    this.sequences.set(tenant, { sequence, id: this.newest ?? 0, connection: this.connection });
  }

  /**
   * @param {Decision} decision
   * @returns {number} decisions of the tenant that were missed just before it, in this connection
   */
  push(decision) {
    const { tenant, sequence } = decision;
    let missed = 0;
    const last = this.sequences.get(tenant);
    if (sequence !== null && last !== undefined) {
      const sameConnection = last.connection === this.connection;
      if (sequence > last.sequence + 1) {
        const jump = sequence - last.sequence - 1;
        // A jump over a marker is what the marker tells of: one line for all tenants, not one each.
        if (this.marker !== null && this.marker.id > last.id) {
          if (this.marker.why === "reconnected") this.marker.missed = (this.marker.missed ?? 0) + jump;
        } else {
          this.add({ kind: "gap", id: 0, why: "sequence", tenant, at: decision.at, missed: jump });
        }
        if (sameConnection) missed = jump;
      } else if (sequence <= last.sequence && !sameConnection) {
        // Only a new run of the supervisor counts from the beginning. Every tenant's does then.
        this.sequences.clear();
        if (this.marker?.why === "reconnected") this.marker.why = "restarted";
        else this.add({ kind: "gap", id: 0, why: "restarted", tenant: null, at: decision.at, missed: 0 });
      }
    }
    this.add(decision);
    if (sequence !== null && (last === undefined || sequence > last.sequence || last.connection !== this.connection)) {
      if (this.sequences.size >= MAX_SEQUENCES && !this.sequences.has(tenant)) this.sequences.clear();
      this.sequences.set(tenant, { sequence, id: decision.id, connection: this.connection });
    }
    return missed;
  }

  /** @param {number|null} missed @param {number} now */
  lagged(missed, now) {
    const last = this.entries.at(-1);
    if (last?.kind === "gap" && last.why === "lagged") {
      last.missed = last.missed === null || missed === null ? null : last.missed + missed;
      return;
    }
    this.marker = { kind: "gap", id: 0, why: "lagged", tenant: null, at: now, missed };
    this.add(this.marker);
  }

  /** @param {number} now */
  connected(now) {
    this.connection += 1;
    if (this.connection === 1) return;
    const last = this.entries.at(-1);
    if (last?.kind === "gap" && last.why === "reconnected") return;
    this.marker = { kind: "gap", id: 0, why: "reconnected", tenant: null, at: now, missed: 0 };
    this.add(this.marker);
  }

  /** A tenant that was added again counts its decisions from the start. @param {string} tenant */
  forget(tenant) {
    this.sequences.delete(tenant);
  }

  /** @param {Entry} entry */
  add(entry) {
    entry.id = nextId;
    nextId += 1;
    this.keep(entry);
    for (const listener of this.listeners) listener(entry);
  }

  /** @param {Entry} entry */
  keep(entry) {
    this.entries.push(entry);
    this.added += 1;
    this.account(entry);
    this.bound();
  }

  /** @param {Entry} entry */
  account(entry) {
    this.characters += sizeOf(entry);
    if (entry.kind === "gap") return;
    this.events += 1;
    if (entry.eventId !== "") this.byEvent.set(entry.eventId, entry);
  }

  /** Drops the oldest. */
  bound() {
    while (this.size > MAX_ENTRIES || (this.characters > MAX_CHARACTERS && this.size > 1)) {
      const dropped = this.entries[this.head];
      this.characters -= sizeOf(dropped);
      if (dropped !== undefined && dropped.kind !== "gap") this.byEvent.delete(dropped.eventId);
      this.entries[this.head] = undefined;
      this.head += 1;
    }
    if (this.head > MAX_SLACK) {
      this.entries.splice(0, this.head);
      this.head = 0;
    }
  }

  /**
   * A feed of the entries that match: those that are here, and those to come. On a busy host the
   * few that somebody looks for would otherwise be pushed out by the many.
   * @param {(entry: Entry) => boolean} matches
   */
  filtered(matches) {
    const feed = new Feed();
    for (const entry of this.all()) if (matches(entry)) feed.keep(entry);
    const listener = (/** @type {Entry} */ entry) => {
      if (matches(entry)) feed.keep(entry);
    };
    this.listeners.add(listener);
    feed.close = () => this.listeners.delete(listener);
    return feed;
  }

  /** @returns {unknown} */
  close() {
    return undefined;
  }
}

/** @param {Entry|undefined} entry */
function sizeOf(entry) {
  return entry === undefined || entry.kind === "gap" ? 0 : entry.raw.length;
}

/**
 * @param {{tenant?: string, exact?: boolean, only?: string, text?: string}} filter `exact`: the
 *   tenant's whole id, and not a part of it
 * @returns {(entry: Entry) => boolean}
 */
export function matcher({ tenant = "", exact = true, only = "", text = "" }) {
  const terms = text.toLowerCase().split(/\s+/).filter(Boolean);
  // As they stand in the message, where quotes and backslashes are escaped.
  const escaped = terms.map((term) => JSON.stringify(term).slice(1, -1));
  return (entry) => {
    const other = tenant !== "" && entry.tenant !== null && (exact ? entry.tenant !== tenant : !entry.tenant.includes(tenant));
    if (other) return false;
    if (entry.kind === "gap") return true;
    if (only !== "" && only !== verdictOf(entry)) return false;
    if (terms.length === 0) return true;
    const raw = entry.raw.toLowerCase();
    if (!escaped.every((term) => raw.includes(term))) return false;
    // The message's own keys are no find: "reason" would match every decision.
    const words = wordsOf(entry);
    return terms.every((term) => words.includes(term));
  };
}

/** @param {Decision|Failure} entry @returns {"allow"|"deny"|"error"} */
export function verdictOf(entry) {
  return entry.kind === "error" ? "error" : entry.allow ? "allow" : "deny";
}

/** What a decision or an error says, in lower case. @param {Decision|Failure} entry */
function wordsOf(entry) {
  try {
    const data = JSON.parse(entry.raw).data;
    const found = [data.event_id, data.tenant_id, data.revision, data.decision?.reason, ...(data.decision?.redact ?? []), data.code, data.message];
    return `${found.join("\n")}\n${JSON.stringify(data.input)}`.toLowerCase();
  } catch {
    return "";
  }
}
