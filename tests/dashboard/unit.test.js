// The modules without a page: what is counted, kept, grouped and cut out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_ALERTS, Alerts } from "../../dashboard/alerts.js";
import { alertTitle } from "../../dashboard/alert-item.js";
import { decades, niceTop } from "../../dashboard/chart.js";
import { backoff } from "../../dashboard/connection.js";
import { caretOf } from "../../dashboard/diagnostics.js";
import { advice, isServerError, serverErrors } from "../../dashboard/errors.js";
import { decisionOf, failureOf, Feed, matcher, MAX_CHARACTERS, MAX_ENTRIES } from "../../dashboard/feed.js";
import * as format from "../../dashboard/format.js";
import { remember } from "../../dashboard/history.js";
import { growth, Host } from "../../dashboard/host.js";
import { hostFacts } from "../../dashboard/host-panel.js";
import { elements, pretty, valueAt, visible } from "../../dashboard/json.js";
import { layerWords } from "../../dashboard/layers.js";
import { problemsOf } from "../../dashboard/problems.js";
import { ALLOW, BUCKETS, bucketOf, Counts, DENY, Evaluations, quantile, spread } from "../../dashboard/quantiles.js";
import { quotaFacts } from "../../dashboard/quotas.js";
import { shiftOf } from "../../dashboard/shift.js";
import { Spans } from "../../dashboard/spans.js";
import { inTrouble, stateOrder } from "../../dashboard/states.js";
import { MAX_EVENTS, Store } from "../../dashboard/store.js";
import { tenantFacts } from "../../dashboard/tenant-facts.js";
import { random } from "./mock.js";

const NOW = 1_800_000_000_000;

/** @param {string} tenant @param {number} sequence @param {object} [more] */
function message(tenant, sequence, more = {}) {
  return JSON.stringify({
    type: "decision",
    data: {
      event_id: `id-${tenant}-${sequence}`, tenant_id: tenant, timestamp: new Date(NOW).toISOString(),
      decision: { allow: true, redact: [], reason: "fine" }, input: { action: "read" },
      metrics: { eval_duration_micros: 40 }, revision: "ab", sequence, ...more,
    },
  });
}

/** @param {Feed} feed @param {string} tenant @param {number} sequence @param {object} [more] */
function push(feed, tenant, sequence, more) {
  const raw = message(tenant, sequence, more);
  const decision = decisionOf(JSON.parse(raw).data, raw, NOW);
  assert.ok(decision);
  return feed.push(decision);
}

/** @param {Feed} feed */
const kinds = (feed) => feed.all().map((entry) => (entry.kind === "gap" ? `${entry.why} ${entry.missed}` : `${entry.tenant} ${entry.sequence}`));

test("quantiles are within 3 % of the exact ones", () => {
  const draw = random(1);
  const evaluations = new Evaluations(2, 60);
  const exact = [];
  for (let i = 0; i < 5_000; i += 1) {
    const micros = 10 ** (1 + draw() * 4);
    exact.push(micros);
    evaluations.add(NOW / 1000, bucketOf(micros));
  }
  exact.sort((a, b) => a - b);
  for (const q of [0.5, 0.9, 0.99]) {
    const found = quantile(evaluations.last(NOW / 1000, 60), q) ?? 0;
    const wanted = exact[Math.ceil(q * exact.length) - 1];
    assert.ok(Math.abs(found / wanted - 1) < 0.03, `${q}: ${found} for ${wanted}`);
  }
  assert.equal(quantile(new Uint32Array(BUCKETS), 0.5), null);
});

test("a slot of an older time is forgotten", () => {
  const counts = new Counts(5, 1);
  counts.add(100, ALLOW, 3);
  counts.add(101, DENY, 1);
  assert.deepEqual(counts.sum(100, 101), [3, 1, 0, 0]);
  counts.add(105, ALLOW, 7);
  assert.deepEqual(counts.sum(100, 105), [7, 1, 0, 0]);
  // A message that comes late does not take the place of a newer time.
  counts.add(100, ALLOW, 1);
  assert.deepEqual(counts.sum(105, 105), [7, 0, 0, 0]);
});

test("the server's coarse histogram is spread over the fine buckets, and nothing is lost", () => {
  const counts = new Array(BUCKETS).fill(0);
  spread([0, 0, 60, 39, 0, 1], [10, 20, 50, 100, 200], (bucket, n) => {
    counts[bucket] += n;
  });
  assert.equal(counts.reduce((sum, n) => sum + n), 100);
  const p50 = quantile(counts, 0.5) ?? 0;
  assert.ok(p50 > 20 && p50 < 52, String(p50));
  const p99 = quantile(counts, 0.99) ?? 0;
  assert.ok(p99 > 90 && p99 < 104, String(p99));
  assert.ok((quantile(counts, 1) ?? 0) > 195);
});

test("known times are a union, and an open one goes on", () => {
  const spans = new Spans();
  spans.add(10, 20);
  spans.add(15, 30);
  spans.add(40, Infinity);
  assert.equal(spans.seconds(0, 100), 80);
  assert.equal(spans.seconds(25, 45), 10);
  spans.end(50);
  assert.equal(spans.seconds(0, 100), 30);
  spans.add(28, 42);
  assert.equal(spans.seconds(0, 100), 40);
});

test("totals that went down say nothing", () => {
  const of = (/** @type {number} */ allowed, /** @type {number} */ timeouts) =>
    new Host({ tenants: { a: { allowed, denied: 1, errors: { evaluation_timeout: timeouts, invalid_parameter: 9 }, evaluations: { buckets: [allowed, 2] }, memory_bytes: 5 } } }, NOW).tenants.get("a");
  const [before, after] = [of(3, 1), of(10, 4)];
  assert.ok(before && after);
  assert.deepEqual(growth(before, after), { allow: 7, deny: 0, failed: 3, buckets: [7, 0] });
  assert.equal(growth(after, before), null);
  assert.equal(after.memory, 5);
});

test("a jump of a tenant's sequence is a gap", () => {
  const feed = new Feed();
  feed.connected(NOW);
  assert.equal(push(feed, "a", 7), 0);
  push(feed, "b", 1);
  assert.equal(push(feed, "a", 10), 2);
  push(feed, "a", 11);
  assert.deepEqual(kinds(feed), ["a 7", "b 1", "sequence 2", "a 10", "a 11"]);
});

test("what a lag explains is not told again for every tenant", () => {
  const feed = new Feed();
  feed.connected(NOW);
  push(feed, "a", 1);
  push(feed, "b", 1);
  feed.lagged(5, NOW);
  feed.lagged(2, NOW);
  assert.equal(push(feed, "a", 5), 3);
  assert.equal(push(feed, "b", 4), 2);
  assert.deepEqual(kinds(feed), ["a 1", "b 1", "lagged 7", "a 5", "b 4"]);
  feed.lagged(null, NOW);
  feed.lagged(2, NOW);
  assert.equal(kinds(feed).at(-1), "lagged null");
});

test("a reconnect is one line with all that was missed, and a restart is told from it", () => {
  const feed = new Feed();
  feed.connected(NOW);
  push(feed, "a", 5);
  push(feed, "b", 5);
  feed.connected(NOW);
  assert.equal(push(feed, "a", 8), 0);
  push(feed, "b", 7);
  assert.deepEqual(kinds(feed).slice(2), ["reconnected 3", "a 8", "b 7"]);
  feed.connected(NOW);
  push(feed, "b", 1);
  push(feed, "a", 1);
  assert.deepEqual(kinds(feed).slice(5), ["restarted 0", "b 1", "a 1"]);
});

test("decisions out of order are no restart", () => {
  const feed = new Feed();
  feed.connected(NOW);
  push(feed, "a", 2);
  push(feed, "a", 1);
  assert.deepEqual(kinds(feed), ["a 2", "a 1"]);
});

test("a feed keeps the newest, bounded in number and in size", () => {
  const feed = new Feed();
  for (let i = 1; i <= MAX_ENTRIES + 3_000; i += 1) push(feed, "a", i);
  assert.equal(feed.size, MAX_ENTRIES);
  assert.equal(feed.all()[0].sequence, 3_001);
  const large = "x".repeat(MAX_CHARACTERS / 4);
  for (let i = 0; i < 9; i += 1) push(feed, "b", i, { input: large });
  assert.ok(feed.characters <= MAX_CHARACTERS);
  assert.equal(feed.size, 3);
});

test("filters take tenant, verdict and words, but not the message's own keys", () => {
  const feed = new Feed();
  push(feed, "a", 1, { decision: { allow: false, redact: ["pii.email"], reason: "Nobody may" }, input: { who: 'say "hi"' } });
  push(feed, "ab", 1);
  const found = (/** @type {object} */ filter) => feed.all().filter(matcher(filter)).map((entry) => entry.tenant);
  assert.deepEqual(found({ tenant: "a" }), ["a"]);
  assert.deepEqual(found({ tenant: "a", exact: false }), ["a", "ab"]);
  assert.deepEqual(found({ only: "deny" }), ["a"]);
  assert.deepEqual(found({ text: "NOBODY" }), ["a"]);
  assert.deepEqual(found({ text: "nobody pii" }), ["a"]);
  assert.deepEqual(found({ text: 'say "hi' }), ["a"]);
  assert.deepEqual(found({ text: "eval_duration_micros" }), []);
  assert.deepEqual(found({ text: "id-ab-1" }), ["ab"]);
  const filtered = feed.filtered(matcher({ only: "deny" }));
  push(feed, "a", 2);
  push(feed, "c", 1, { decision: { allow: false, redact: [], reason: null } });
  assert.deepEqual(filtered.all().map((entry) => entry.tenant), ["a", "c"]);
  filtered.close();
  push(feed, "c", 2, { decision: { allow: false, redact: [], reason: null } });
  assert.equal(filtered.size, 2);
});

test("an input is shown as it was sent", () => {
  const text = '{"type":"decision","data":{"decision":{"input":1,"allow":true},"list":[{"input":2}],"input": {"id":12345678901234567890,"a":"},\\"","e":[],"o":{}},"metrics":{}}}';
  const input = valueAt(text, ["data", "input"]);
  assert.equal(input, '{"id":12345678901234567890,"a":"},\\"","e":[],"o":{}}');
  const shown = pretty(input ?? "").map((piece) => piece.text).join("");
  assert.equal(shown, '{\n  "id": 12345678901234567890,\n  "a": "},\\"",\n  "e": [],\n  "o": {}\n}');
  assert.equal(valueAt('{"data":{"a":1}}', ["data", "input"]), null);
  assert.equal(valueAt('{"input":1,"data":[{"input":2}]}', ["data", "input"]), null);
});

test("text that turns other text around is shown by its number", () => {
  assert.equal(pretty('"a\u202eb"')[0].text, '"a\\u202eb"');
});

test("an input of many MiB is laid out and not choked on", () => {
  const input = JSON.stringify({ text: 'x"\\'.repeat(1_000_000) });
  const found = valueAt(`{"data":{"input":${input}}}`, ["data", "input"]);
  assert.equal(found, input);
  assert.equal(pretty(found ?? "").length, 5);
});

test("denials are no alert, however many", () => {
  const store = new Store(new Alerts());
  for (let i = 0; i < 2_000; i += 1) store.onText(message("a", i, { decision: { allow: false, redact: [], reason: "no" } }), NOW - i * 300);
  store.compare(NOW);
  assert.deepEqual(store.alerts.unseen(), []);
});

test("a marked change of the share of denials is an alert, and chance is none", () => {
  assert.equal(shiftOf([95, 5], [20, 9]), null, "too few decisions");
  assert.equal(shiftOf([950, 50], [300, 45]), null, "too small a difference");
  assert.equal(shiftOf([16, 14], [24, 6]), null, "chance");
  assert.equal(shiftOf([0, 100], [0, 100]), null);
  assert.deepEqual(shiftOf([960, 40], [20, 80]), { was: 0.04, is: 0.8, before: 1_000, now: 100 });
  assert.ok(shiftOf([20, 980], [90, 10]));
});

test("a change of denials is told once, says what it was and is, and ends", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW - 700_000);
  const decide = (/** @type {number} */ second, /** @type {boolean} */ allow) => {
    const at = NOW + second * 1_000;
    store.onText(message("a", second + 1_000, { timestamp: new Date(at).toISOString(), decision: { allow, redact: [], reason: null } }), at);
  };
  for (let second = -660; second < -60; second += 1) decide(second, second % 20 !== 0);
  for (let second = -60; second < 0; second += 1) decide(second, second % 4 === 0);
  store.compare(NOW);
  store.compare(NOW + 6_000);
  const [alert, ...others] = store.alerts.unseen();
  assert.equal(others.length, 0);
  assert.equal(alert.kind, "shift");
  assert.equal(alert.count, 1);
  assert.match(alert.message, /75% of 60 decisions in the last minute, and 5\.0% of 600 decisions in the ten minutes before/);
  store.alerts.markSeen(alert.key);
  store.compare(NOW + 12_000);
  assert.deepEqual(store.alerts.unseen(), [], "it was seen");
  const again = Alerts.load(store.alerts.save());
  again.shifted("a", { was: 0.05, is: 0.8, before: 600, now: 60 }, NOW + 20_000, () => "");
  assert.deepEqual(again.unseen(), [], "it was seen before the page was loaded again");
});

test("alerts are bounded, and stay until they are seen", () => {
  const alerts = new Alerts();
  for (let i = 0; i < MAX_ALERTS + 10; i += 1) alerts.problem("crashed", `t${i}`, NOW + i, "m".repeat(9_999), []);
  assert.equal(alerts.problems.size, MAX_ALERTS);
  assert.ok(alerts.save().length < 400_000);
  const again = Alerts.load(alerts.save());
  assert.equal(again.problems.size, MAX_ALERTS);
  again.markSeen("crashed t50");
  assert.equal(again.problems.size, MAX_ALERTS - 1);
  again.markAll();
  assert.deepEqual(again.unseen(), []);
  assert.deepEqual(Alerts.load("{nonsense").unseen(), []);
});

/** @param {string} tenant @param {number} at @param {object} [more] */
const failure = (tenant, at, more) => ({ event_id: `e-${tenant}-${at}`, tenant_id: tenant, timestamp: new Date(at).toISOString(), code: "evaluation_timeout", status: 504, message: "too slow", errors: [], input: 1, ...more });

test("failed requests of a tenant are one alert, which becomes that of a failing tenant, and ends", () => {
  const alerts = new Alerts();
  for (let i = 0; i < 4; i += 1) alerts.errored(failure("a", NOW + i), NOW);
  alerts.errored(failure("a", NOW + 5, { code: "invalid_parameter", status: 400 }), NOW);
  assert.equal(alertTitle(alerts.unseen()[0]), "4 requests failed: evaluation_timeout");
  assert.deepEqual(alerts.counts, { all: 1, grave: 1 });
  alerts.changed({ tenant_id: "a", change: "failing", timestamp: new Date(NOW + 10).toISOString(), message: "5 in a row" }, NOW);
  alerts.errored(failure("a", NOW + 20), NOW);
  assert.equal(alerts.unseen().length, 1);
  const [alert] = alerts.unseen();
  assert.equal(alert.kind, "failing");
  assert.equal(alert.count, 5);
  assert.equal(alert.first, NOW);
  assert.equal(alertTitle(alert), "5 evaluations failed in a row: evaluation_timeout");
  alerts.changed({ tenant_id: "a", change: "recovered", timestamp: new Date(NOW + 30).toISOString(), message: "" }, NOW);
  assert.equal(alert.over, NOW + 30);
  assert.deepEqual(alerts.counts, { all: 1, grave: 0 });
});

test("a tenant that was failing before the page was opened is an alert", () => {
  const alerts = new Alerts();
  const tenant = { tenant_id: "a", state: "failing", last_error: null, last_evaluation_error: { at: new Date(NOW).toISOString(), code: "memory_limit_exceeded", status: 500, message: "too much", count: 12, consecutive: 12 } };
  alerts.listed([tenant], NOW);
  assert.equal(alertTitle(alerts.unseen()[0]), "12 evaluations failed in a row: memory_limit_exceeded");
  alerts.listed([{ ...tenant, state: "ready" }], NOW + 1_000);
  assert.equal(alerts.unseen()[0].over, NOW + 1_000);
});

test("trouble from before the page was opened is told once", () => {
  const rejected = [{ tenant_id: "a", state: "rejected", last_error: { at: new Date(NOW).toISOString(), message: "no", errors: [{ code: "c", message: "m", location: { file: "p.rego", row: 1, col: 2 } }] } }];
  const alerts = new Alerts();
  alerts.listed(rejected);
  alerts.listed(rejected);
  assert.equal(alerts.unseen().length, 1);
  assert.equal(alerts.unseen()[0].count, 1);
  // The event of the same trouble, a moment apart.
  alerts.changed({ tenant_id: "a", change: "rejected", timestamp: new Date(NOW + 20).toISOString(), message: "no", errors: [] }, NOW);
  assert.equal(alerts.unseen()[0].count, 1);
  alerts.markSeen("rejected a");
  const later = Alerts.load(alerts.save());
  later.listed(rejected);
  assert.deepEqual(later.unseen(), []);
});

test("figures come from every decision of the stream", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW);
  for (let second = 0; second < 10; second += 1) {
    for (let i = 0; i < 100; i += 1) {
      const allow = i >= 25;
      store.onText(message("a", second * 100 + i, { decision: { allow, redact: [], reason: null }, metrics: { eval_duration_micros: i < 98 ? 50 : 5_000 } }), NOW + second * 1000);
    }
  }
  const figures = store.figures(null, NOW + 10_000);
  assert.equal(figures.rate, 100);
  assert.equal(figures.denyShare, 0.25);
  assert.ok(Math.abs((figures.p50 ?? 0) / 50 - 1) < 0.05);
  assert.ok(Math.abs((figures.p99 ?? 0) / 5_000 - 1) < 0.05);
  assert.equal(store.figures("a", NOW + 10_000).rate, 100);
  assert.equal(store.received, 1_000);
});

test("a time without a connection is unknown, and not zero", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW);
  store.setStreaming(false, NOW + 60_000);
  store.setStreaming(true, NOW + 120_000);
  const { points } = store.rates(null, NOW + 180_000);
  assert.equal(points.at(-1)?.allow, 0);
  assert.equal(points.at(-18), null);
  assert.equal(points.at(-30)?.allow, 0);
  assert.equal(points[0], null);
});

test("without a stream the figures come from the totals", () => {
  const store = new Store(new Alerts());
  const overview = (/** @type {number} */ n) => ({ result: { now: new Date(NOW).toISOString(), started: new Date(NOW - 1e6).toISOString(), evaluation_bounds_micros: [100], tenants: { a: { allowed: n, denied: n / 4, errors: { evaluation_timeout: n / 100 }, evaluations: { buckets: [n, 0] } } } } });
  store.setHost(overview(1_000), NOW);
  store.setHost(overview(1_400), NOW + 5_000);
  const figures = store.figures("a", NOW + 5_500);
  assert.equal(figures.rate, 100);
  assert.equal(figures.denyShare, 0.2);
  assert.equal(figures.errors, 4);
  assert.ok((figures.p50 ?? 0) > 0);
  assert.equal(store.figures(null, NOW + 5_500).rate, 100);
});

test("errors are counted where they are the server's, and listed in any case", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW - 10_000);
  store.onText(message("a", 1), NOW);
  store.onText(JSON.stringify({ type: "error", data: failure("a", NOW) }), NOW);
  store.onText(JSON.stringify({ type: "error", data: failure("a", NOW + 1, { code: "invalid_parameter", status: 400 }) }), NOW);
  assert.equal(store.figures("a", NOW + 1_000).errors, 1);
  assert.equal(store.rates(null, NOW + 5_000).points.at(-1)?.error, 0.2);
  assert.equal(store.feed.size, 3);
  const found = (/** @type {string} */ only, text = "") => store.feed.all().filter(matcher({ only, text })).length;
  assert.deepEqual([found("error"), found("allow"), found(""), found("", "invalid_parameter"), found("", "eval_duration")], [2, 1, 3, 1, 0]);
  assert.equal(failureOf({ tenant_id: "a" }, "", NOW), null);
  assert.equal(isServerError("overloaded"), true);
  assert.equal(isServerError("a_code_of_tomorrow", 500), true);
  assert.equal(serverErrors({ internal_error: 2, request_too_large: 5 }), 2);
  assert.match(advice("evaluation_timeout"), /ENFORCER_EVAL_TIMEOUT_MS/);
});

const UNTIL = Math.floor(NOW / 5_000) * 5_000;

/** A history of three minutes of `a`, with one sample of denials. @param {any[]} events @param {object} [more] */
function historyOf(events, more = {}) {
  const samples = 36;
  const list = (/** @type {number} */ n) => new Array(samples).fill(n);
  const of = { allowed: list(50), denied: [...list(0).slice(1), 10], errors: list(5) };
  return JSON.stringify({ result: { interval_seconds: 5, until: new Date(UNTIL).toISOString(), samples, host: { ...of, evaluations: list(0).map(() => [0, 0, 50]) }, tenants: { a: of }, events, ...more } });
}

/** @param {string} tenant @param {number} sequence @param {number} at */
const event = (tenant, sequence, at) => JSON.parse(message(tenant, sequence, { timestamp: new Date(at).toISOString() }));

test("a page that is loaded again has its charts, decisions, events and alerts from the history", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW);
  const change = { type: "tenant", data: { event_id: "c1", tenant_id: "a", change: "crashed", state: "backoff", timestamp: new Date(UNTIL - 60_000).toISOString(), message: "signal 11" } };
  remember(store, historyOf([event("a", 5, UNTIL - 40_000), change, { type: "error", data: failure("b", UNTIL - 20_000) }, event("a", 9, UNTIL - 10_000)]), 0, true);
  const { points } = store.rates(null, UNTIL);
  assert.equal(points.length, 180);
  assert.deepEqual(points.at(-1), { allow: 10, deny: 2, missed: 0, error: 1 });
  assert.equal(points.at(-36)?.allow, 10);
  assert.equal(points.at(-37), null, "older than the history");
  assert.equal(store.figures("a", UNTIL).errors, 55);
  assert.ok((store.evaluations(null, UNTIL).points.at(-1)?.p50 ?? 0) > 20);
  assert.deepEqual(kinds(store.feed), ["a 5", "b undefined", "a 9", "opened 0"], "no gap between what is remembered");
  assert.equal(store.events[0].change, "crashed");
  assert.deepEqual(store.alerts.unseen().map((alert) => alert.kind), ["crashed", "errors"]);
  assert.equal(store.received, 2);
});

test("no event is shown or counted twice, whichever way it comes first", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW - 100_000);
  const late = NOW + 3_000;
  const texts = [9, 10, 11].map((n) => JSON.stringify(event("a", n, UNTIL + n)));
  store.hold();
  assert.equal(store.onText(texts[0], late), "");
  remember(store, historyOf([event("a", 9, UNTIL + 9), event("a", 10, UNTIL + 10)]), 0, true);
  store.onText(texts[1], late);
  store.onText(texts[2], late);
  store.release();
  assert.deepEqual(kinds(store.feed), ["a 9", "a 10", "opened 0", "a 11"]);
  assert.equal(store.stats.get("a")?.counts.last(late / 1000, 5)[0], 3);
  store.onText(texts[1], late);
  assert.equal(store.feed.size, 4);
  // What came again is no gap either, where the page has it only from the history.
  const other = new Store(new Alerts());
  other.setStreaming(true, NOW);
  other.hold();
  for (const n of [9, 10, 11, 12]) other.onText(JSON.stringify(event("a", n, UNTIL + n)), late);
  remember(other, historyOf([event("a", 10, UNTIL + 10), event("a", 11, UNTIL + 11)]), 0, true);
  other.release();
  assert.deepEqual(kinds(other.feed), ["a 10", "a 11", "opened 0", "a 9", "a 12"]);
  store.onText(JSON.stringify(event("a", 12, UNTIL + 12)), late);
  assert.deepEqual(kinds(store.feed).slice(-2), ["a 11", "a 12"]);
});

test("the history after a lost connection fills what was missed, and is no gap", () => {
  const store = new Store(new Alerts());
  store.setStreaming(true, NOW - 180_000);
  remember(store, historyOf([], { until: new Date(UNTIL - 180_000).toISOString() }), 0, true);
  store.release();
  store.onText(JSON.stringify(event("a", 1, NOW - 100_000)), NOW - 100_000);
  store.setStreaming(false, NOW - 90_000);
  store.hold();
  store.setStreaming(true, NOW);
  remember(store, historyOf([event("a", 1, NOW - 100_000), event("a", 2, NOW - 50_000), event("a", 3, NOW - 40_000)]), 0, true);
  store.release();
  store.onText(JSON.stringify(event("a", 4, NOW + 100)), NOW + 100);
  assert.deepEqual(kinds(store.feed), ["a 1", "reconnected 0", "a 2", "a 3", "a 4"]);
  assert.ok(store.rates(null, UNTIL).points.slice(-36).every((point) => point?.allow === 10));
});

test("what was seen before a reload is not told again by the history", () => {
  const first = new Store(new Alerts());
  const change = { type: "tenant", data: { event_id: "c1", tenant_id: "a", change: "crashed", timestamp: new Date(UNTIL - 60_000).toISOString(), message: "signal 11" } };
  remember(first, historyOf([change]), 0, true);
  first.alerts.markAll();
  const second = new Store(Alerts.load(first.alerts.save()));
  remember(second, historyOf([change]), 0, true);
  assert.deepEqual(second.alerts.unseen(), []);
  assert.equal(second.events.length, 1);
});

test("the history keeps inputs as they were sent", () => {
  const text = historyOf([event("a", 1, UNTIL)]).replace('"input":{"action":"read"}', '"input":{"id":9007199254740993,"id":2}');
  const store = new Store(new Alerts());
  remember(store, text, 0, true);
  assert.equal(valueAt(store.feed.find("id-a-1")?.raw ?? "", ["data", "input"]), '{"id":9007199254740993,"id":2}');
  assert.deepEqual(elements('[1, {"b":[2,3]} ,"]"],"c":[4]}'), ["1", '{"b":[2,3]}', '"]"']);
  assert.deepEqual(elements("[]"), []);
});

test("a broken history is ignored", () => {
  for (const result of [null, {}, { until: "x" }, { until: new Date(NOW).toISOString(), samples: 3, host: null, events: [null, {}, { data: 1 }] }]) {
    const store = new Store(new Alerts());
    remember(store, JSON.stringify({ result }), 0, true);
    assert.equal(store.feed.size, 0);
  }
});

test("a server's clock that is ahead moves its history, and not this page's", () => {
  const store = new Store(new Alerts());
  remember(store, historyOf([]), 60_000, true);
  assert.equal(store.rates(null, UNTIL - 60_000).points.at(-1)?.allow, 10);
  assert.equal(store.rates(null, UNTIL).points.at(-1), null);
});

test("sleeping and waiting tenants are no trouble, failing ones are", () => {
  const of = (/** @type {string} */ state, since = NOW) => inTrouble({ state, since: new Date(since).toISOString() }, NOW);
  assert.deepEqual(["asleep", "waiting", "ready", "starting", "stopped", "backoff"].filter((state) => of(state)), []);
  assert.deepEqual(["failing", "rejected", "quarantined"].filter((state) => !of(state)), []);
  assert.equal(of("backoff", NOW - 60_000), true);
  assert.ok(stateOrder("failing") < stateOrder("ready"));
});

test("a tenant's problems say what, since when, and what to do", () => {
  const at = new Date(NOW - 60_000).toISOString();
  const errors = [{ code: "rego_parse_error", message: "expected `}`", location: { file: "p.rego", row: 3, col: 5 }, line: "allow if {", help: "close it" }];
  const found = problemsOf({
    state: "failing", revision: "ab".repeat(32), last_error: { at, message: "no", errors }, stale: { since: at, reason: "the new bundle is rejected" },
    quarantine: { reason: "5 workers ended", until: new Date(NOW + 65_000).toISOString(), release: "touch a file of it" },
    last_evaluation_error: { at, code: "evaluation_timeout", status: 504, message: "too slow", count: 40, consecutive: 12, decision_id: "d1" },
  });
  assert.deepEqual(found.map((problem) => problem.key), ["quarantine", "evaluation", "bundle"]);
  const [quarantine, evaluation, bundle] = found;
  assert.match(quarantine.when(NOW), /Next attempt in 1 min 5 s/);
  assert.match(quarantine.when(NOW + 70_000), /due/);
  assert.deepEqual(quarantine.facts[1], ["To end it now", "touch a file of it"]);
  assert.equal(evaluation.title, "Every evaluation fails");
  assert.match(evaluation.facts[0][1], /last 12 requests got no decision; 40 requests failed/);
  assert.equal(evaluation.decision, "d1");
  assert.match(bundle.facts[0][1], /Revision abababab still serves/);
  assert.equal(bundle.title, "The new bundle is rejected");
  assert.deepEqual(problemsOf({ state: "ready", last_error: null, last_evaluation_error: null, stale: null, quarantine: null, warnings: [] }), []);
  const once = problemsOf({ state: "ready", last_evaluation_error: { at, code: "internal_error", count: 1, consecutive: 0 } });
  assert.equal(once[0].tone, "warn");
});

test("facts name the evaluator's reason, the last restart and errors by code", () => {
  const facts = new Map(tenantFacts({ evaluator: "interpreter", interpreted_because: "the bundle is too large", evaluation_errors: { by_code: { evaluation_timeout: 3 } }, last_restart: { at: new Date(NOW - 60_000).toISOString(), cause: "crash", message: "signal 11" } }, undefined, NOW));
  assert.equal(facts.get("Reason"), "the bundle is too large");
  assert.equal(facts.get("Errors"), "evaluation_timeout 3");
  assert.match(facts.get("Last restart") ?? "", /1 min ago: crash, signal 11/);
});

test("a quota shows how much of it is used and how often it refused", () => {
  const quotas = {
    decisions_per_second: { limit: 100, burst: 200, window_seconds: 60, window_limit: 6000, used: 4800, warnings: 1, exceeded: 7 },
    concurrent_requests: { limit: 64, window_limit: 64, used: 3, warnings: 0, exceeded: 0 },
  };
  const [decisions, requests] = quotaFacts(quotas);
  assert.equal(decisions.use, "4,800 of 6,000 in the last minute");
  assert.equal(decisions.note, "7 refused since the start, 100 a second");
  assert.equal(requests.use, "3 of 64 now");
  assert.deepEqual(quotaFacts(undefined), []);
});

test("a warning of a quota is an alert until none came for a while, and hides no other trouble", () => {
  const alerts = new Alerts();
  const store = new Store(alerts);
  const warn = (/** @type {string} */ level, /** @type {number} */ at) =>
    store.onText(JSON.stringify({ type: "quota_warning", data: { event_id: "e", tenant_id: "a", timestamp: new Date(at).toISOString(), quota: "decisions_per_second", level, limit: 60, used: 48, message: "48 of 60" } }), at);
  warn("warning", NOW);
  warn("exceeded", NOW + 1_000);
  const [alert] = alerts.unseen();
  assert.equal(alertTitle(alert), "2 quota warnings: quota_exceeded");
  assert.notEqual(advice(alert.code), "");
  assert.equal(alerts.counts.grave, 0);
  assert.equal(alerts.known.has("a"), false);
  store.compare(NOW + 60_000);
  assert.equal(alert.over, null);
  store.compare(NOW + 600_000);
  assert.equal(alert.over, NOW + 1_000);
});

test("the supervisor's own facts mark what somebody should look at", () => {
  const host = new Host({ version: "1.2.3", started: new Date(NOW - 3_700_000).toISOString(), connections: 3, max_connections: 10, host_limits: { connections: 0, worker_starts: 2 }, dropped_log_lines: 4 }, NOW);
  const facts = hostFacts(host, NOW);
  assert.deepEqual(facts.slice(0, 2), [["Version", "1.2.3", false], ["Uptime", "1 h 1 min", false]]);
  assert.deepEqual(facts.filter(([, , attention]) => attention).map(([name, value]) => `${name} ${value}`), ["Limits reached worker starts 2×", "Log lines lost 4"]);
});

test("a caret stands under the column, with tabs and in long lines too", () => {
  assert.deepEqual(caretOf("allow := }", 10), { line: "allow := }", caret: "         ^" });
  assert.deepEqual(caretOf("\tallow", 2), { line: "\tallow", caret: "\t^" });
  assert.equal(caretOf("short", 99).caret, "     ^");
  assert.equal(caretOf("no column", undefined).caret, "");
  const { line, caret } = caretOf(`${"a".repeat(400)}X${"b".repeat(400)}`, 401);
  assert.ok(line.length < 170);
  assert.equal(line[caret.indexOf("^")], "X");
});

test("layers have the field's names", () => {
  for (const layer of ["cgroup", "oom_score", "seccomp"]) assert.notEqual(layerWords(layer), layer.replaceAll("_", " "));
  assert.equal(layerWords("something_new"), "something new");
});

test("what is no message of ours is ignored, and nothing grows without bound", () => {
  const store = new Store(new Alerts());
  for (const text of ["", "nonsense", "null", "[]", '{"type":"new"}', '{"type":"decision"}', '{"type":"decision","data":{"tenant_id":1}}', '{"type":"tenant","data":null}', '{"type":"quota_warning"}', '{"type":"error"}', '{"type":"lagged"}']) {
    store.onText(text, NOW);
  }
  assert.equal(store.received, 0);
  for (let i = 0; i < MAX_EVENTS + 50; i += 1) {
    store.onText(JSON.stringify({ type: "tenant", data: { tenant_id: "a", change: "ready", timestamp: new Date(NOW).toISOString(), message: "" } }), NOW);
  }
  assert.equal(store.events.length, MAX_EVENTS);
});

test("a tenant that is gone takes its figures with it", () => {
  const store = new Store(new Alerts());
  store.onText(message("a", 1), NOW);
  store.setTenants({ result: [{ tenant_id: "b", state: "ready", sandbox: [] }] });
  assert.equal(store.stats.size, 0);
  assert.equal(store.detailed.size, 0);
});

test("waits grow to ten seconds, and no two dashboards wait alike", () => {
  assert.equal(backoff(0, 0), 500);
  assert.equal(backoff(0, 1), 1_000);
  assert.equal(backoff(20, 1), 10_000);
  assert.ok(backoff(3, 0.1) < backoff(3, 0.9));
});

test("figures are short", () => {
  assert.equal(format.rate(2.34), "2.3");
  assert.equal(format.rate(1999.6), "2,000");
  assert.equal(format.percent(0.0004), "<0.1%");
  assert.equal(format.percent(1), "100%");
  assert.equal(format.micros(42), "42 µs");
  assert.equal(format.micros(1_234), "1.2 ms");
  assert.equal(format.bytes(1_720_320), "1.6 MiB");
  assert.equal(format.duration(81_000), "1 min 21 s");
  assert.equal(format.place({ file: "policy.rego", row: 12, col: 3 }), "policy.rego:12:3");
  assert.equal(format.count(null), "–");
});

test("axes have round ends", () => {
  assert.deepEqual([0, 0.3, 7, 43, 2_100].map(niceTop), [1, 0.4, 8, 50, 4_000]);
  assert.deepEqual(decades(43, 981), [1, 3]);
  assert.deepEqual(decades(100, 100), [2, 3]);
});

test("control characters are shown by their numbers, line feeds and tabs stay", () => {
  assert.equal(visible("a\u001b[31m\u0000\u009b\u007f\tb\nc"), "a\\u001b[31m\\u0000\\u009b\\u007f\tb\nc");
  // A tag, which no font shows: as JSON writes it.
  assert.equal(visible("x\u{e0041}"), "x\\udb40\\udc41");
  assert.equal(visible("漢字 \u{1f600} é"), "漢字 \u{1f600} é");
});
