// What the supervisor remembers, so that a page that is loaded again starts where it was. Pure.

import { decisionOf, failureOf } from "./feed.js";
import { ALLOW, bucketOf, DENY, ERROR, MISSED, spread } from "./quantiles.js";
import { WIDTH } from "./stats.js";
import { elements } from "./json.js";

/** The server gives 15 minutes. */
const MAX_SAMPLES = 180;
const MAX_EVENTS = 2_000;
/** Where they begin. Nothing else of the answer has this key and an array. */
const EVENTS = '"events":[';
/** The bounds of the server's evaluation times, where it does not name them. */
const BOUNDS = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000];

/**
 * Takes the answer of /v1/history: its counts replace those of the same time, its events come
 * before those of the stream.
 * @param {import("./store.js").Store} store
 * @param {string} text the answer, as it came: inputs are shown as they were sent
 * @param {number} ahead milliseconds that the server's clock is ahead of this page's
 * @param {boolean} withEvents its events are wanted as well, and not only its counts
 */
export function remember(store, text, ahead, withEvents) {
  const result = JSON.parse(text)?.result;
  const until = Date.parse(result?.until);
  if (Number.isNaN(until)) return;
  counts(store, result, until, ahead);
  if (withEvents && Array.isArray(result.events)) events(store, result.events, textsOf(text, result.events), ahead);
}

/**
 * The events' own texts, cut out of the answer's. Reading all of it a token at a time would take long
 * with many tenants, whose counts come before.
 * @param {string} text @param {any[]} list
 */
function textsOf(text, list) {
  const at = text.indexOf(EVENTS);
  const texts = at < 0 ? [] : elements(text.slice(at + EVENTS.length - 1));
  return texts.length === list.length ? texts : list.map((message) => JSON.stringify(message));
}

/** @param {import("./store.js").Store} store @param {any} result @param {number} until @param {number} ahead */
function counts(store, result, until, ahead) {
  const width = Number(result.interval_seconds) || WIDTH;
  const many = Math.min(MAX_SAMPLES, Number(result.samples) || 0);
  const end = Math.floor((until - ahead) / 1000);
  // Whole points, so that no sample is split between two.
  const last = Math.round(end / WIDTH) * WIDTH;
  const bounds = store.host?.bounds.length ? store.host.bounds : BOUNDS;
  const second = (/** @type {number} */ i) => last - (many - i) * width;
  store.countedUntil = Math.max(store.countedUntil, until);
  fill(store.total, result.host, many, second);
  for (const [id, of] of Object.entries(result.tenants ?? {})) {
    const stats = store.statsOf(id);
    if (stats !== null) fill(stats, of, many, second);
  }
  const evaluations = Array.isArray(result.host?.evaluations) ? result.host.evaluations.slice(-many) : [];
  for (const [i, buckets] of evaluations.entries()) {
    const at = second(i + many - evaluations.length);
    // What the page counted itself is finer.
    if (!Array.isArray(buckets) || at < store.evaluatedUntil || store.followed.seconds(at, at + width) > width - 1) continue;
    spread(buckets, bounds, (bucket, n) => store.total.evaluated(at, bucket, n));
  }
  store.evaluatedUntil = last;
  store.fills += 1;
  store.known.add(second(0), last);
}

/** @param {import("./stats.js").Stats} stats @param {any} of @param {number} many @param {(i: number) => number} second */
function fill(stats, of, many, second) {
  for (const [kind, list] of [[ALLOW, of?.allowed], [DENY, of?.denied], [ERROR, of?.errors]]) {
    if (!Array.isArray(list)) continue;
    const values = list.slice(-many);
    for (const [i, n] of values.entries()) {
      const at = second(i + many - values.length);
      stats.counts.set(at, kind, Number(n) || 0);
      stats.counts.set(at, MISSED, 0);
    }
  }
}

/** @param {import("./store.js").Store} store @param {any[]} list @param {string[]} texts @param {number} ahead */
function events(store, list, texts, ahead) {
  /** @type {(import("./feed.js").Decision|import("./feed.js").Failure)[]} */
  const entries = [];
  store.remembered.clear();
  /** @type {Map<string, any>} */
  const changes = new Map(store.events.map((event) => [event.event_id, event]));
  const dated = list.map((message, i) => ({ message, text: texts[i], at: Date.parse(message?.data?.timestamp) }));
  // The oldest first: what is known of a tenant's trouble is how far it was told.
  for (const { message, text, at } of dated.filter(({ at }) => !Number.isNaN(at)).sort((a, b) => a.at - b.at).slice(-MAX_EVENTS)) {
    const { data } = message;
    if (typeof data.event_id !== "string") continue;
    const entry = message.type === "decision" ? decisionOf(data, text, at) : message.type === "error" ? failureOf(data, text, at) : null;
    if (entry !== null) {
      entries.push(entry);
      if (entry.kind === "error") store.alerts.errored(data, at, true);
    } else if (message.type === "tenant" && typeof data.tenant_id === "string" && !changes.has(data.event_id)) {
      changes.set(data.event_id, { ...data, at });
      store.alerts.changed(data, at, true);
    }
    store.remembered.add(data.event_id);
  }
  store.events = [...changes.values()].sort((a, b) => b.at - a.at).slice(0, store.maxEvents);
  const isFirst = store.feed.connection <= 1 && store.feed.prefills === 0;
  const newest = isFirst ? 0 : (store.feed.all().findLast((entry) => entry.kind !== "gap")?.at ?? 0);
  const fresh = entries.filter((entry) => entry.at >= newest && store.feed.find(entry.eventId) === null);
  // Those of the newest seconds are in no sample yet. Of single tenants, samples have no times.
  for (const entry of fresh) {
    const now = entry.at - ahead;
    if (entry.kind === "decision" && entry.at < store.countedUntil) store.statsOf(entry.tenant)?.evaluated(now / 1000, bucketOf(entry.micros), 1);
    if (entry.kind === "decision") store.counted(entry, now, true);
    else store.failed(entry, now);
  }
  if (isFirst) {
    store.feed.prefill(fresh);
    return;
  }
  for (const entry of fresh) {
    if (entry.kind === "decision") store.feed.push(entry);
    else store.feed.add(entry);
  }
}
