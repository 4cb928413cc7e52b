// Why a decision was made, on the page: what is shown and sent, and what hostile, late and huge answers
// do to it, which is nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { askWhy, launch, live, mocked, serious, shows, until } from "./harness.js";
import { Mock } from "./mock.js";
import { explanation, residency, rule, statement, valuesOf } from "./why-answers.js";

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

/** @param {import("node:test").TestContext} t @param {(mock: Mock) => void} prepare @param {string} [hash] @param {import("playwright-core").BrowserContextOptions} [options] */
const dashboard = (t, prepare, hash = "", options = {}) => mocked(browser, t, prepare, hash, options);

test("why: what failed, what held, what was not reached, and the values there, in one screen", async (t) => {
  const { page, mock, complaints } = await dashboard(t, (m) => {
    m.prefix = "/edge/7";
    m.add("tenant_a");
  }, "#/decisions");
  await live(page);
  mock.decide("tenant_a", { allow: false, reason: "not here" });
  await page.locator(".decision:visible").first().click();
  await page.getByRole("button", { name: "Why?" }).click();
  await shows(page, ".why-verdict", "data.tenants.tenant_a.allow is false");
  await shows(page, ".why-cause", 'input.resource.region is "US"');
  await shows(page, ".why-line.failed", /14\s*failed\s*resident/);
  await shows(page, ".why-line.held", /13\s*held\s*reading/);
  await shows(page, ".why-line.skipped", /15\s*skipped\s*not suspended/);
  await shows(page, ".why-rule.skipped", "another definition decided");
  await shows(page, ".why-revision", "made this decision, and explains it");
  assert.deepEqual(await page.locator(".why-part.failed").allTextContents(), ["resident", "input.resource.region in data.residency[input.resource.type]"]);
  // All of it is in view.
  const last = await page.locator(".why-line.failed").last().boundingBox();
  assert.ok(last !== null && last.y + last.height < 900, JSON.stringify(last));
  // A value leads to the rule that it is of, and the cause to its line.
  await page.locator(".why-line.failed").first().getByRole("button").click();
  assert.match(await page.evaluate(() => document.activeElement?.textContent ?? ""), /data\.tenants\.tenant_a\.resident/);
  await page.locator(".why-causes").getByRole("button", { name: "policy.rego:40" }).click();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("data-row")), "40");
  // What was not reached opens too.
  await page.locator(".why-rule.skipped summary").click();
  await shows(page, ".why-rule.skipped .why-line", "suspended if input.subject.user_id");
  await page.getByRole("button", { name: "Hide the explanation" }).click();
  assert.equal(await page.locator(".why-told").count(), 0);
  assert.deepEqual(complaints, []);
});

test("why: the recorded input is sent as it was recorded", async (t) => {
  const { page, mock } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  const input = '{"id":9007199254740993, "x":1.10,"a":1,"a":2,"s":"}\\u202e,"}';
  const id = "0199-exact";
  const text = `{"type":"decision","data":{"event_id":"${id}","tenant_id":"tenant_a","timestamp":"${new Date().toISOString()}","decision":{"allow":false,"redact":[],"reason":null},"input":${input},"metrics":{"eval_duration_micros":3},"revision":"ab","sequence":1}}`;
  for (const { socket } of mock.streams) socket.send(text);
  await page.locator(".decision:visible").first().waitFor();
  await askWhy(page);
  await page.locator(".why-told").waitFor();
  assert.deepEqual(mock.asked, [{ tenant: "tenant_a", body: `{"input":${input}}` }]);
});

test("why: another revision than the one that decided is said", async (t) => {
  const { page, mock } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  mock.decide("tenant_a", { allow: false, more: { revision: "0ld" } });
  mock.why = () => ({ body: residency("tenant_a", "n3w") });
  await page.locator(".decision:visible").first().waitFor();
  await askWhy(page);
  await shows(page, ".why-other", "This decision was made by revision 0ld; revision n3w explains it now.");
  // The same revision that decides otherwise.
  mock.decide("tenant_a", { allow: true, reason: "then", more: { revision: "n3w" } });
  await shows(page, ".decision", "then");
  await page.keyboard.press("Escape");
  await page.locator(".decision", { hasText: "then" }).click();
  await page.keyboard.press("w");
  await shows(page, ".why-other", "The decision was another one then.");
  assert.equal(await page.locator(".why-other").count(), 1);
  // An error does not name the revision that failed.
  mock.fail("tenant_a", { message: "too slow" });
  await page.keyboard.press("Escape");
  await page.locator(".decision", { hasText: "too slow" }).click();
  await page.keyboard.press("w");
  await shows(page, ".why-revision", "Revision n3w explains it now.");
});

test("why: a late answer never lands in another decision, and is not waited for", async (t) => {
  const { page, mock, complaints } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  for (let i = 0; i < 3; i += 1) mock.decide("tenant_a", { allow: false, reason: `n ${i}` });
  await until("they are there", async () => (await page.locator(".decision:visible").count()) === 3);
  /** @type {(() => void)[]} */
  const held = [];
  mock.why = (tenant) => new Promise((resolve) => held.push(() => resolve({ body: residency(tenant, "ab") })));
  await askWhy(page);
  await shows(page, ".why-status", "Evaluating the input again");
  assert.equal(await page.locator('.why[aria-busy="true"]').count(), 1);
  await until("it was asked", () => held.length === 1);
  await page.locator(".decision:visible").nth(1).click();
  await shows(page, ".inspector .reason", "n 1");
  await until("nobody waits for the first", () => mock.givenUp === 1);
  held[0]();
  // The second one's answer comes after the first one's, so that one would be here by now.
  await page.keyboard.press("w");
  await until("the second was asked", () => held.length === 2);
  assert.equal(await page.locator(".why-told").count(), 0);
  // Asked twice, it is asked once.
  await page.keyboard.press("w");
  await page.getByRole("button", { name: "Cancel the explanation" }).click();
  await page.locator('.why[data-state="idle"]').waitFor();
  await until("nobody waits for the second", () => mock.givenUp === 2);
  held[1]();
  await page.keyboard.press("w");
  await until("the third was asked", () => held.length === 3);
  assert.equal(await page.locator(".why-told").count(), 0);
  held[2]();
  await page.locator(".why-told").waitFor();
  // From another page, too.
  await page.locator(".decision:visible").nth(2).click();
  await page.keyboard.press("w");
  await until("the fourth was asked", () => held.length === 4);
  await page.evaluate(() => {
    location.hash = "#/alerts";
  });
  await shows(page, "h1", "Alerts");
  await until("nobody waits for the fourth", () => mock.givenUp === 3);
  held[3]();
  assert.deepEqual(complaints, []);
});

test("why: a refusal is a plain sentence, and another attempt is a button", async (t) => {
  const { page, mock, complaints } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  mock.decide("tenant_a", { allow: false });
  await page.locator(".decision:visible").first().waitFor();
  /** @type {[number, any, RegExp][]} */
  const refusals = [
    [503, { code: "overloaded", message: "m" }, /Too many explanations/],
    [429, {}, /Too many explanations/],
    [503, { code: "tenant_unavailable", message: "m" }, /no policy that serves/],
    [504, { code: "evaluation_timeout", message: "m" }, /took too long/],
    [404, { code: "resource_not_found", message: "m" }, /no such tenant/],
    [413, { code: "request_too_large", message: "m" }, /too large to be sent again/],
    [500, { code: "internal_error", message: "<b>\u202eboom" }, /status 500\. <b>\\u202eboom/],
    [200, { result: "no explanation" }, /load the page again/],
  ];
  mock.why = () => ({ status: refusals[0][0], body: refusals[0][1] });
  await askWhy(page);
  const retry = page.getByRole("button", { name: "Try again to explain" });
  while (refusals.length > 0) {
    const before = mock.asked.length;
    await page.locator(".why-body .omitted").filter({ hasText: refusals[0][2] }).waitFor();
    await shows(page, ".why-status", "No explanation");
    refusals.shift();
    if (refusals.length === 0) mock.why = () => ({ body: residency("tenant_a", "ab") });
    await retry.click();
    await until("it was asked again", () => mock.asked.length === before + 1);
  }
  await page.locator(".why-told").waitFor();
  // The button that had the focus still has it.
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Hide");
  assert.deepEqual(serious(complaints), []);
  await mock.close();
  await page.getByRole("button", { name: "Hide the explanation" }).click();
  await page.keyboard.press("w");
  await shows(page, ".why-body .omitted", "cannot be reached");
});

test("why: what cannot be asked about has a sentence and no button", async (t) => {
  const { page, mock } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  for (const [id, words] of [
    [mock.decide("tenant_a", { input: null, more: { input_omitted: "too_large" } }), "too large to be sent to this page. So the policy cannot be asked"],
    [mock.fail("tenant_a", { code: "internal_error", status: 500, input: null, more: { input_omitted: "not_json" } }), "no valid JSON. So the policy cannot be asked"],
    [mock.fail("tenant_a", { code: "internal_error", status: 500, more: { input: undefined } }), "The request has no input. So the policy cannot be asked"],
    [mock.fail("tenant_a", { code: "tenant_mismatch", status: 403 }), "The policy was not asked about this request"],
  ]) {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, `#/decisions/${id}`);
    await shows(page, ".inspector .id", id);
    await shows(page, ".why", words);
    assert.equal(await page.locator(".why-button").count(), 0);
    await page.keyboard.press("w");
  }
  assert.deepEqual(mock.asked, []);
});

test("why: policies, values and names are hostile text, and stay text", async (t) => {
  const markup = '<img src=x onerror="document.title=`owned`">';
  const turned = "a\u202eb\u001b[31mc\u2066";
  const { page, mock, complaints } = await dashboard(t, (m) => {
    m.add("tenant_a");
    m.why = () => ({
      body: explanation(`data.${markup}`, [
        rule(`data.${markup}`, 3, `allow if ${turned} ${markup}\n\tx\u2028y`, "failed", [statement(3, 10, `${turned} ${markup}`, "failed", { [`${turned}${markup}`]: `"${markup}${turned}"` })], { place: { file: `${turned}${markup}.rego`, row: 3, col: 1 }, value: markup }),
      ], `rev${turned}`, { error: `${markup}${turned}` }),
    });
  }, "#/decisions");
  await live(page);
  mock.decide("tenant_a", { allow: false });
  await page.locator(".decision:visible").first().waitFor();
  await askWhy(page);
  await page.locator(".why-told").waitFor();
  assert.equal(await page.locator(".why img, .why script").count(), 0);
  const text = (await page.locator(".why").textContent()) ?? "";
  assert.doesNotMatch(text, /[\u202e\u2066\u2028\u001b]/);
  for (const seen of [markup, "a\\u202eb\\u001b[31mc\\u2066", "x\\u2028y"]) assert.ok(text.includes(seen), seen);
  // Tooltips as well.
  const attributes = await page.locator(".why *").evaluateAll((all) => all.flatMap((element) => [...element.attributes].map((attribute) => attribute.value)).join(""));
  assert.doesNotMatch(attributes, /[\u202e\u2066\u2028\u001b]/);
  assert.ok(!(await page.title()).includes("owned"));
  assert.deepEqual(complaints, []);
});

test("why: a huge explanation is bounded, says so, and fits", async (t) => {
  const long = "長い".repeat(1_000_000);
  const lines = Array.from({ length: 250 }, (_, i) => `\tinput.v${i} == ${i}; input.w${i}`);
  const values = valuesOf(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`input.${"名".repeat(90)}${i}`, `"${"x".repeat(200)}"`])));
  const statements = lines.map((_, i) => statement(i + 2, 2, `input.v${i} == ${i}`, "failed", {}, { attempts: Array.from({ length: 4 }, (_, k) => ({ held: k % 2 === 0, values: [...values.slice(0, 15), { name: "k", value: String(k) }] })) }));
  for (const viewport of [{ width: 1440, height: 900 }, { width: 360, height: 740 }]) {
    const { page, mock } = await dashboard(t, (m) => {
      m.add("tenant_a");
      m.why = () => ({
        body: explanation("data.tenants.tenant_a.allow", [
          rule("data.tenants.tenant_a.allow", 1, `allow if {\n${lines.join("\n").slice(0, 3_900)}`, "failed", statements),
          rule("data.tenants.tenant_a.allow", 400, `allow if ${long}`, "failed", [statement(400, 10, long, "failed", { [long]: long })]),
          ...Array.from({ length: 2_000 }, (_, i) => rule(`data.tenants.tenant_a.r${i}`, 500 + i, `r${i} if input.x`, "failed", [statement(500 + i, 10, "input.x", "failed", { "input.x": null })])),
        ], "ab"),
      });
    }, "#/decisions", { viewport });
    await live(page);
    mock.decide("tenant_a", { allow: false });
    await page.locator(".decision:visible").first().waitFor();
    await askWhy(page);
    await page.locator(".why-told").waitFor();
    assert.equal(await page.locator(".why-rule").count(), 256);
    await shows(page, ".why-told > .why-more", "more was left out");
    await shows(page, ".why-source .why-more", "more lines were left out");
    // Rules that were closed open as well.
    await page.locator(".why-rule").nth(1).evaluate((details) => details.setAttribute("open", ""));
    await shows(page, ".why-line", "allow if 長い");
    const size = await page.locator(".why *").count();
    assert.ok(size < 12_000, `${size} elements`);
    const wide = await page.evaluate(() => [...document.querySelectorAll(".inspector, .why-told, .why-told *")].filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline").map((element) => element.className));
    assert.deepEqual(wide, []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  }
});
