// An explanation without a page: how it is checked, bounded, and laid out over the policy's lines.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answerOf, causesOf, linesOf, MAX_LINES, MAX_SOURCE, MAX_VALUE, openRules, refusalOf, revisionWords, verdictWords } from "../../dashboard/why-answer.js";
import { explanation, residency, roles, rule, statement, valuesOf } from "./why-answers.js";

/** @param {any} json */
function read(json) {
  const answer = answerOf(json);
  assert.ok(answer);
  return answer;
}

/** The lines of the first rule, as a terminal would show them. @param {any[]} rules */
function lines(rules) {
  return linesOf(read(explanation("data.t.allow", rules, "ab")).rules[0]).lines.map(({ row, outcome, pieces, notes }) => ({
    row, outcome, marked: pieces.map((piece) => (piece.outcome === "failed" ? `<${piece.text}>` : piece.text)).join(""), notes,
  }));
}

test("the expression that failed is marked in the policy's own line, and no other", () => {
  const { rules } = read(residency("a", "ab"));
  const shown = linesOf(rules[0]).lines;
  assert.deepEqual(shown.map((line) => [line.row, line.outcome]), [[12, ""], [13, "held"], [14, "failed"], [15, "skipped"], [16, ""]]);
  assert.deepEqual(shown[2].pieces, [{ text: "\t", outcome: "" }, { text: "resident", outcome: "failed" }]);
  assert.deepEqual(shown[2].notes[0].groups[0].values, [{ name: "data.tenants.a.resident", value: null }]);
  assert.deepEqual(linesOf(rules[3]).lines[0].pieces.map((piece) => piece.outcome), ["", "failed"]);
});

test("columns count characters, also where they are wide, or two units long", () => {
  const source = '説明("\u{1f600}") if input.x == 1; input.y == 2';
  const col = [...source.slice(0, source.indexOf("input.y"))].length + 1;
  const shown = lines([rule("data.t.allow", 3, source, "failed", [statement(3, col, "input.y == 2", "failed")])]);
  assert.equal(shown[0].marked, '説明("\u{1f600}") if input.x == 1; <input.y == 2>');
});

test("several statements of one line are told one by one, and those inside of others too", () => {
  const source = "allow if { not bad; every x in input.xs { x.ok; x.n < 3 } }";
  const at = (/** @type {string} */ text) => source.indexOf(text) + 1;
  const inside = [statement(1, at("x.ok"), "x.ok", "held"), statement(1, at("x.n"), "x.n < 3", "failed", { "x.n": "4" })];
  const shown = lines([rule("data.t.allow", 1, source, "failed", [
    statement(1, at("not"), "not bad", "held"),
    statement(1, at("every"), "every x in input.xs { x.ok; x.n < 3 }", "failed", {}, { inside }),
  ])]);
  assert.equal(shown[0].outcome, "failed");
  assert.equal(shown[0].marked, "allow if { not bad; <every x in input.xs { >x.ok<; x.n < 3 }> }");
  assert.deepEqual(shown[0].notes.map((note) => [note.outcome, note.source]), [
    ["held", "not bad"], ["failed", "every x in input.xs { x.ok; x.n < 3 }"], ["held", "x.ok"], ["failed", "x.n < 3"],
  ]);
});

test("a statement inside of a not that failed does not mark the line of one that held", () => {
  const inside = [statement(1, 14, "input.blocked", "failed")];
  const shown = lines([rule("data.t.allow", 1, "allow if not input.blocked", "held", [statement(1, 10, "not input.blocked", "held", {}, { inside })])]);
  assert.equal(shown[0].outcome, "held");
});

test("a statement of several lines is marked on each", () => {
  const shown = lines([rule("data.t.allow", 5, 'allow if input.x in {"a",\r\n\t"b"}', "failed", [statement(5, 10, 'input.x in {"a",\r\n\t"b"}', "failed")])]);
  assert.deepEqual(shown.map((line) => line.marked), ['allow if <input.x in {"a",>', '<\t"b"}>']);
});

test("an else is told of once, as a rule of its own", () => {
  const chain = 'reason := "a" if {\n\tx\n} else := "b" if {\n\ty\n}';
  const { rules } = read(explanation("data.t.reason", [
    rule("data.t.reason", 1, chain, "failed", [statement(2, 2, "x", "failed")]),
    rule("data.t.reason", 3, 'else := "b" if {\n\ty\n}', "held", [statement(4, 2, "y", "held")], { is_else: true, place: { file: "policy.rego", row: 3, col: 3 } }),
  ], "ab"));
  assert.equal(rules[0].source, 'reason := "a" if {\n\tx\n}');
  assert.equal(rules[1].kind, "else of ");
  assert.deepEqual(linesOf(rules[1]).lines.map((line) => line.row), [3, 4, 5]);
});

test("attempts are told as eval --explain tells them: no repetitions, no constants, no operands of print", () => {
  const attempt = (/** @type {boolean} */ held, /** @type {Record<string, string|null>} */ values) => ({ held, values: valuesOf(values) });
  const shown = lines([rule("data.t.allow", 1, "allow if {\n\tx > 2\n\tprint(x)\n}", "held", [
    statement(2, 2, "x > 2", "held", {}, { held: 1, failed: 2, attempts: [attempt(false, { x: "1", "[1,2]": "[1,2]" }), attempt(false, { x: "1", "[1,2]": "[1,2]" }), attempt(true, { x: "3" })] }),
    statement(3, 2, "print(x)", "held", { x: "3" }),
  ])]);
  const [note] = shown[1].notes;
  assert.equal(note.times, "1 of 3 times");
  assert.deepEqual(note.groups.map((group) => [group.word, group.values.map(({ name, value }) => `${name} is ${value}`)]), [["failed with ", ["x is 1"]], ["held with ", ["x is 3"]]]);
  assert.deepEqual(shown[2].notes, []);
});

test("the cause is where the rules that were asked end, and not what another rule failed at", () => {
  const of = (/** @type {any} */ json) => causesOf(read(json)).map(({ statement: { source } }) => source);
  assert.deepEqual(of(residency("a", "ab")), ["input.resource.region in data.residency[input.resource.type]"]);
  // A rule that failed, so that a `not` held, is no cause.
  assert.deepEqual(of(explanation("data.t.allow", [
    rule("data.t.allow", 1, "allow if {\n\tnot blocked\n\tinput.x\n}", "failed", [statement(2, 2, "not blocked", "held"), statement(3, 2, "input.x", "failed", { "input.x": null })]),
    rule("data.t.blocked", 5, "blocked if input.y", "failed", [statement(5, 12, "input.y", "failed", { "input.y": null })]),
  ], "ab")), ["input.x"]);
  // Neither is the number of a set's members, where the set's own rules failed.
  assert.deepEqual(of(roles("a", "ab")), ["input.environment.ticket", "permission.resource == input.resource.type"]);
  // Rules that ask one another end.
  const ring = ["a", "b"].map((name, i) => rule(`data.t.${name}`, i, name, "failed", [statement(i, 1, name, "failed", { [`data.t.${name === "a" ? "b" : "a"}`]: null })]));
  assert.deepEqual(of(explanation("data.t.a", ring, "ab")), []);
});

test("what an answer may hold is bounded, and that something was left out is said", () => {
  const long = "x".repeat(3_000_000);
  const values = valuesOf(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`v${i}`, long])));
  const many = Array.from({ length: 3_000 }, (_, i) => statement(i + 1, 1, long, "failed", {}, { attempts: new Array(50).fill({ held: false, values }) }));
  const answer = read(explanation("data.t.allow", [rule(long, 1, long, "failed", many), ...new Array(5_000).fill(rule("r", 1, "r", "held"))], "ab"));
  assert.ok(answer.isTruncated);
  assert.equal(answer.rules.length, 256);
  assert.equal(answer.rules[0].source.length, MAX_SOURCE + 1);
  assert.equal(answer.rules[0].name.length, MAX_VALUE + 1);
  assert.equal(answer.rules[0].statements.length, 256);
  assert.equal(answer.rules[0].statements[0].attempts[0].values.length, 16);
  const shown = linesOf(answer.rules[0]);
  assert.ok(shown.lines.length <= MAX_LINES);
  const feeds = linesOf(read(explanation("data.t.allow", [rule("r", 1, "x\n".repeat(2_000), "held")], "ab")).rules[0]);
  assert.equal(feeds.lines.length, MAX_LINES);
  assert.ok(feeds.isTruncated);
  const stray = linesOf(read(explanation("data.t.allow", [rule("r", 1, "x\n".repeat(250), "held", Array.from({ length: 200 }, (_, i) => statement(1_000 + i, 1, "s", "held")))], "ab")).rules[0]);
  assert.equal(stray.lines.length, MAX_LINES);
  assert.ok(stray.isTruncated);
  let nested = statement(1, 1, "s", "held");
  for (let i = 0; i < 2_000; i += 1) nested = statement(1, 1, "s", "held", {}, { inside: [nested] });
  assert.ok(read(explanation("data.t.allow", [rule("r", 1, "s", "held", [nested])], "ab")).rules[0].statements.length < 20);
  assert.equal(read(residency("a", "ab")).isTruncated, false);
});

test("an answer in another form is none, and single fields that are wrong do no harm", () => {
  for (const json of [null, undefined, 7, "text", [], {}, { result: null }, { result: { document: 7, rules: [] } }, { result: { document: "d", rules: {} } }]) assert.equal(answerOf(json), null);
  const odd = read({ result: { document: "d", value: 7, error: {}, rules: [null, 7, { place: 7, statements: [null, { source: "s", place: { row: -1, col: 1.5 }, attempts: [{ values: [7, {}] }] }], outcome: "constructor" }] } });
  assert.equal(odd.value, null);
  assert.equal(odd.rules.length, 1);
  assert.equal(odd.rules[0].outcome, "skipped");
  assert.ok(linesOf(odd.rules[0]).lines.length > 0);
});

test("statements whose lines were cut off are told of in spite of that", () => {
  const shown = lines([rule("data.t.allow", 1, "allow if {\n\tx…", "failed", [statement(40, 2, "input.y == 2", "failed", { "input.y": "1" })])]);
  assert.deepEqual(shown.map((line) => [line.row, line.marked]), [[1, "allow if {"], [2, "\tx…"], [40, "<input.y == 2>"]]);
});

test("rules that matter are open first, as many as there is room for", () => {
  const rules = ["held", "failed", "failed"].map((outcome, i) => rule(`r${i}`, 1, "a\n".repeat(20), /** @type {any} */ (outcome)));
  const open = (/** @type {number} */ room, /** @type {string} */ value) => [...openRules(read(explanation("d", rules, "ab", { value })), room)];
  assert.deepEqual(open(1_000, "false"), [1, 2, 0]);
  assert.deepEqual(open(50, "false"), [1, 2]);
  assert.deepEqual(open(1, "false"), [1]);
  assert.deepEqual(open(1, "true"), [0]);
});

test("which revision explains is said where it is another one", () => {
  assert.equal(revisionWords("aa", "aa"), "");
  assert.equal(revisionWords("aa", "bb"), "This decision was made by revision aa; revision bb explains it now.");
  assert.match(revisionWords("a".repeat(64), "b".repeat(64)), /^This decision was made by revision a{12}; revision b{12} explains/);
  assert.equal(revisionWords("", "bb"), "Revision bb explains it now.");
});

test("what the document is, is said as eval --explain says it", () => {
  const of = (/** @type {object} */ more) => verdictWords(read(explanation("d", [], "ab", more)));
  assert.equal(of({ value: "false" }), "is false");
  assert.equal(of({ value: null }), "is undefined");
  assert.equal(of({ value: null, error: "conflict" }), "failed: conflict");
});

test("each refusal has a sentence that says what to do, and others the server's own words", () => {
  const of = (/** @type {number} */ status, /** @type {any} */ body) => refusalOf(status, body);
  assert.match(of(503, { code: "overloaded" }).words, /Too many explanations/);
  assert.match(of(503, { code: "tenant_unavailable" }).words, /no policy that serves/);
  assert.match(of(504, null).words, /took too long/);
  assert.match(of(404, "<html>").words, /no such tenant/);
  assert.match(of(413, {}).words, /ENFORCER_MAX_BODY_BYTES/);
  assert.match(of(429, {}).words, /Too many/);
  assert.deepEqual(of(418, { code: "__proto__", message: "a teapot" }), { words: "The supervisor did not explain it: it answered with status 418.", said: "a teapot" });
  assert.ok(of(500, { message: "x".repeat(1e6) }).said.length <= MAX_VALUE + 1);
});
