// The modules without a page: what is counted, kept, grouped and cut out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Alerts, MAX_DENIALS, MAX_PROBLEMS } from "../../supervisor/dashboard/alerts.js";
import { decades, niceTop } from "../../supervisor/dashboard/chart.js";
import { backoff } from "../../supervisor/dashboard/connection.js";
import { decisionOf, Feed, matcher, MAX_CHARACTERS, MAX_ENTRIES } from "../../supervisor/dashboard/feed.js";
import * as format from "../../supervisor/dashboard/format.js";
import { pretty, valueAt } from "../../supervisor/dashboard/json.js";
import { MetricsReader, newEvaluations, parseSample } from "../../supervisor/dashboard/openmetrics.js";
import { ALLOW, BUCKETS, bucketOf, Counts, DENY, Evaluations, quantile } from "../../supervisor/dashboard/quantiles.js";
import { MAX_EVENTS, Store } from "../../supervisor/dashboard/store.js";
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
  assert.deepEqual(counts.sum(100, 101), [3, 1, 0]);
  counts.add(105, ALLOW, 7);
  assert.deepEqual(counts.sum(100, 105), [7, 1, 0]);
});

test("metrics are read with every escape, and cut anywhere", () => {
  assert.deepEqual({ ...parseSample('a{x="1",y="q\\"\\\\\\n"} 4.5')?.labels }, { x: "1", y: 'q"\\\n' });
  assert.equal(parseSample("a 1e3")?.value, 1000);
  assert.equal(parseSample('a{x="1} 2'), null);
  const text =
    'enforcer_decisions_total{tenant="a",decision="allow"} 5\nenforcer_decisions_total{decision="deny",tenant="a"} 2\n' +
    'enforcer_worker_memory_bytes{tenant="a"} 1024\nenforcer_sandbox_off 1\nother{tenant="zz"} 1\n# EOF\n';
  for (const size of [1, 7, 1_000]) {
    const reader = new MetricsReader();
    for (let i = 0; i < text.length; i += size) reader.push(text.slice(i, i + size));
    assert.equal(reader.complete, true);
    assert.deepEqual([...reader.tenants.keys()], ["a"]);
    assert.equal(reader.tenants.get("a")?.allow, 5);
    assert.equal(reader.tenants.get("a")?.deny, 2);
    assert.equal(reader.tenants.get("a")?.memory, 1024);
    assert.equal(reader.sandboxOff, true);
  }
});

test("growth between two readings falls into its bucket, and a counter begun anew says nothing", () => {
  const grown = newEvaluations([[0.0001, 1], [0.001, 1], [Infinity, 1]], [[0.0001, 1], [0.001, 4], [Infinity, 4]]);
  assert.equal(grown.length, 1);
  assert.equal(grown[0].count, 3);
  assert.ok(grown[0].micros > 100 && grown[0].micros < 1000);
  assert.deepEqual(newEvaluations([[Infinity, 9]], [[Infinity, 2]]), []);
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

test("the denials of a tenant are one alert, and do not drown the others", () => {
  const alerts = new Alerts();
  for (let i = 0; i < 200; i += 1) alerts.denied(`t${i}`, "no", NOW + i);
  for (let i = 0; i < 11; i += 1) alerts.denied("t0", "no", NOW);
  alerts.changed({ tenant_id: "x", change: "crashed", timestamp: new Date(NOW).toISOString(), message: "signal 11" }, NOW);
  const unseen = alerts.unseen();
  assert.equal(unseen[0].kind, "crashed");
  assert.equal(unseen[1].tenant, "t0");
  assert.equal(unseen[1].count, 12);
  assert.equal(unseen.length, 1 + MAX_DENIALS);
  assert.equal(alerts.otherDenials, 200 - MAX_DENIALS);
});

test("alerts are bounded, and stay until they are seen", () => {
  const alerts = new Alerts();
  for (let i = 0; i < MAX_PROBLEMS + 10; i += 1) alerts.problem("crashed", `t${i}`, NOW + i, "m".repeat(9_999), []);
  assert.equal(alerts.problems.size, MAX_PROBLEMS);
  assert.ok(alerts.save().length < 400_000);
  const again = Alerts.load(alerts.save());
  assert.equal(again.problems.size, MAX_PROBLEMS);
  again.markSeen("crashed t50");
  assert.equal(again.problems.size, MAX_PROBLEMS - 1);
  again.markAll("all");
  assert.deepEqual(again.unseen(), []);
  assert.deepEqual(Alerts.load("{nonsense").unseen(), []);
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
  assert.equal(points.at(-40), null);
  assert.equal(points.at(-80)?.allow, 0);
  assert.equal(points[0], null);
});

test("without a stream the figures come from metrics", () => {
  const store = new Store(new Alerts());
  const reading = (/** @type {number} */ allow) => {
    const reader = new MetricsReader();
    reader.push(`enforcer_decisions_total{tenant="a",decision="allow"} ${allow}\nenforcer_decisions_total{tenant="a",decision="deny"} ${allow / 4}\n` +
      `enforcer_evaluation_seconds_bucket{tenant="a",le="0.0001"} ${allow}\nenforcer_evaluation_seconds_bucket{tenant="a",le="+Inf"} ${allow}\n# EOF\n`);
    return reader;
  };
  store.setMetrics(reading(1_000), NOW);
  store.setMetrics(reading(1_400), NOW + 5_000);
  const figures = store.figures("a", NOW + 5_500);
  assert.equal(figures.rate, 100);
  assert.equal(figures.denyShare, 0.2);
  assert.ok((figures.p50 ?? 0) > 0);
  assert.equal(store.figures(null, NOW + 5_500).rate, 100);
});

test("what is no message of ours is ignored, and nothing grows without bound", () => {
  const store = new Store(new Alerts());
  for (const text of ["", "nonsense", "null", "[]", '{"type":"new"}', '{"type":"decision"}', '{"type":"decision","data":{"tenant_id":1}}', '{"type":"tenant","data":null}', '{"type":"quota_warning"}', '{"type":"lagged"}']) {
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
  assert.deepEqual([0, 0.3, 7, 43, 2_100].map(niceTop), [1, 0.4, 10, 50, 4_000]);
  assert.deepEqual(decades(43, 981), [1, 3]);
  assert.deepEqual(decades(100, 100), [2, 3]);
});
