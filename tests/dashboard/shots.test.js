// Every page as a picture, in target/dashboard: for whoever judges the design, and for documents.
// The fifteen minutes before are given by the history, as after a reload.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, open, SHOTS, shows, until } from "./harness.js";
import { Mock, random } from "./mock.js";
import { residency, roles } from "./why-answers.js";

const SECONDS = 900;
/** A list of a hundred decisions is no better a picture than one of ten. */
const MAX_HEIGHT = 1_500;
const ALLOW = ["Granted by role operator", "Allowed by data residency policy", "Within the maintenance window"];
const DENY = ["sensor_data must not be read in region US", "Only reading is allowed", "Outside the maintenance window"];
const BUSY = ["tenant_a", "tenant_a", "tenant_a", "tenant_b", "tenant_b", "billing", "fleet-eu", "fleet-us", "payments"];

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const draw = random(7);
/** @param {number} seconds */
const ago = (seconds) => new Date(Date.now() - seconds * 1_000).toISOString();

/** @param {Mock} mock @param {number} [at] @param {string} [tenant] */
function decide(mock, at = Date.now(), tenant = BUSY[Math.floor(draw() * BUSY.length)]) {
  const isLate = Date.now() - at < 50_000;
  // The policy of `payments` is failing, and `tenant_b` denies more than it did.
  if (tenant === "payments" && Date.now() - at < 150_000) {
    mock.fail(tenant, { at, input: { subject: { user_id: "user_7" }, action: "refund", amount: 120_000 }, errors: [{ code: "deadline", message: "the rule did not end in time", location: { file: "limits.rego", row: 48, col: 12 }, line: "\tsome t in data.transactions" }] });
    return;
  }
  const allow = draw() > (tenant === "tenant_b" ? (isLate ? 0.55 : 0.08) : 0.04);
  mock.decide(tenant, {
    at, allow,
    reason: (allow ? ALLOW : DENY)[Math.floor(draw() * 3)],
    redact: allow && draw() < 0.3 ? ["pii.email", "pii.phone"] : [],
    micros: Math.round(25 + draw() * 40 + (draw() < 0.03 ? draw() * 2_000 : 0)),
    input: {
      subject: { tenant_id: tenant, user_id: `user_${Math.floor(draw() * 400)}`, roles: ["operator"] },
      action: draw() < 0.8 ? "read" : "restart",
      resource: { type: "sensor_data", region: draw() < 0.8 ? "EU" : "US", id: 12345678901 },
      environment: { time: "2025-10-16T14:30:00Z", trusted: true, proxy: null },
    },
  });
}

const SYNTAX = { code: "rego_parse_error", message: "expected `}` but found `allow`", location: { file: "policy.rego", row: 12, col: 26 }, line: "  input.subject.role == \"a allow", help: "Close the string and the body before the next rule." };

/** @param {Mock} mock */
function populate(mock) {
  mock.add("tenant_a");
  mock.add("tenant_b", { version: "2.1.0", reloads: 3 });
  mock.add("tenant-c", { version: "0.3.0", state: "asleep", activation: "lazy", pid: null, sandbox: [] });
  mock.add("new-site", { version: null, revision: null, revision_since: null, state: "waiting", pid: null, sandbox: [], evaluator: null });
  mock.add("billing", { version: "4.12.1", restarts: 2, restarts_by_cause: { crash: 2 }, last_restart: { at: ago(400), cause: "crash", message: "the worker ended by signal 11" } });
  mock.add("fleet-eu", {
    evaluator: "interpreter", interpreted_because: "the bundle has more rules than bytecode is compiled for",
    stale: { since: ago(190), reason: "the new bundle is rejected" },
    last_error: { at: ago(190), message: "the bundle does not compile", errors: [{ ...SYNTAX, location: { file: "rules.rego", row: 40, col: 1 }, message: "unexpected end of file", line: "", help: "" }] },
  });
  mock.add("fleet-us");
  mock.add("payments", { version: "1.8.0" });
  mock.add("sensors", {
    state: "rejected", since: ago(90), revision: null, revision_since: null, version: null, pid: null, sandbox: [], evaluator: null,
    last_error: { at: ago(90), message: "the bundle does not compile", errors: [SYNTAX] },
  });
  mock.add("meter", {
    state: "quarantined", since: ago(48), revision_since: null, pid: null, sandbox: [], restarts: 5, restarts_by_cause: { crash: 5 },
    quarantine: { reason: "Its worker ended 5 times within 60 seconds.", until: new Date(Date.now() + 252_000).toISOString(), release: "Change its bundle, or touch a file of it. SIGHUP releases all tenants." },
    last_restart: { at: ago(48), cause: "crash", message: "the worker ended by signal 31 (a forbidden system call)" },
  });
}

/** @param {Mock} mock */
function remember(mock) {
  for (let second = SECONDS; second > 0; second -= 1) {
    const many = Math.round(30 + 14 * Math.sin(second / 90) + draw() * 8 + (second > 300 && second < 340 ? 35 : 0));
    for (let i = 0; i < many; i += 1) decide(mock, Date.now() - second * 1_000 + i);
  }
  mock.change("billing", "crashed", "the worker ended by signal 11", undefined, Date.now() - 400_000);
  mock.change("billing", "ready", "a worker serves", undefined, Date.now() - 399_000);
  mock.change("tenant_b", "reloaded", "another revision serves", undefined, Date.now() - 240_000);
  mock.change("payments", "reloaded", "another revision serves", undefined, Date.now() - 151_000);
  Object.assign(mock.tenants.get("payments"), { state: "failing", since: ago(145) });
  mock.change("payments", "failing", "the last 5 evaluations ended in evaluation_timeout", undefined, Date.now() - 145_000);
  mock.change("meter", "crashed", "the worker ended by signal 31", undefined, Date.now() - 52_000);
  mock.change("meter", "quarantined", "its worker ended 5 times within 60 seconds", undefined, Date.now() - 48_000);
}

/** @param {import("node:test").TestContext} t @param {import("playwright-core").BrowserContextOptions} [options] @param {(mock: Mock) => void} [prepare] */
async function filled(t, options = {}, prepare = (mock) => {
  populate(mock);
  remember(mock);
}) {
  const mock = new Mock();
  prepare(mock);
  const base = await mock.listen();
  t.after(() => mock.close());
  const { page, close } = await open(browser, options);
  t.after(close);
  const asking = setInterval(() => {
    for (let i = 0; i < 4; i += 1) decide(mock, Date.now(), mock.tenants.size > 100 ? [...mock.tenants.keys()][Math.floor(draw() * mock.tenants.size)] : undefined);
  }, 100);
  t.after(() => clearInterval(asking));
  await page.goto(`${base}/dashboard`);
  await live(page);
  await page.mouse.move(4, 400);
  await until("the rate is steady", async () => Number(await page.locator(".figure-value").first().textContent()) >= 30);
  const shot = async (/** @type {string} */ name, full = false) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(width <= 0, `${name} is too wide`);
    const size = page.viewportSize() ?? { width: 1440, height: 900 };
    const height = full ? Math.min(MAX_HEIGHT, await page.evaluate(() => document.documentElement.scrollHeight)) : size.height;
    // Not a picture of the full page: what sticks to the top would be in the midst of it.
    await page.setViewportSize({ ...size, height: Math.max(size.height, height) });
    await page.screenshot({ path: join(SHOTS, `${name}.png`) });
    await page.setViewportSize(size);
  };
  const to = async (/** @type {string} */ hash, /** @type {string} */ title) => {
    await page.evaluate((address) => {
      location.hash = address;
    }, hash);
    await shows(page, "h1", title);
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600)));
  };
  return { page, mock, shot, to };
}

test("every page has its picture", async (t) => {
  const { page, mock, shot, to } = await filled(t);
  // Until the second answer of the history closed the seam to the stream.
  await until("there is no seam", () => mock.histories >= 2);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_500)));
  await shot("overview-light", true);
  const box = await page.locator(".plot").first().boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.62, box.y + 70);
  await shot("crosshair");
  await page.mouse.move(4, 400);
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("overview-dark", true);
  await page.setViewportSize({ width: 1920, height: 1080 });
  await shot("overview-wall");
  await page.setViewportSize({ width: 1440, height: 900 });
  await to("#/alerts", "Alerts");
  await shot("alerts-dark", true);
  await page.emulateMedia({ colorScheme: "light" });
  await shot("alerts", true);
  await to("#/decisions", "Decisions");
  mock.lag(42);
  await shows(page, ".gap", "42 events");
  await page.locator(".decision", { hasText: "2 redacted" }).first().click();
  await page.locator(".inspector").waitFor();
  await shot("decisions-open");
  await page.keyboard.press("Escape");
  await to("#/decisions?only=deny", "Decisions");
  await page.locator(".decision:visible", { hasText: "sensor_data" }).first().click();
  for (const [name, why] of /** @type {[string, typeof mock.why][]} */ ([
    ["why", mock.why],
    ["why-roles", (tenant) => ({ body: roles(tenant, mock.tenants.get(tenant).revision) })],
    ["why-other-revision", (tenant) => ({ body: residency(tenant, "91bb20ff3c50a7") })],
    ["why-refused", () => ({ status: 503, body: { code: "overloaded" } })],
  ])) {
    mock.why = why;
    await page.keyboard.press("w");
    await page.locator('.why:is([data-state="told"], [data-state="refused"])').waitFor();
    for (const colorScheme of /** @type {const} */ (["dark", "light"])) {
      await page.emulateMedia({ colorScheme });
      await shot(colorScheme === "dark" ? `${name}-dark` : name);
    }
    if (name !== "why-refused") await page.getByRole("button", { name: "Hide the explanation" }).click();
  }
  await page.keyboard.press("Escape");
  await to("#/decisions?only=error", "Decisions");
  await page.locator(".decision:visible").first().click();
  await page.locator(".inspector").waitFor();
  await shot("error-open");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("error-open-dark");
  await to("#/decisions/0199-not-known", "Decisions");
  await shot("decision-unknown-dark");
  await to("#/tenant/tenant_b", "tenant_b");
  await until("its decisions are there", async () => (await page.locator(".decision:visible").count()) > 12);
  await shot("tenant-dark", true);
  await page.emulateMedia({ colorScheme: "light" });
  await shot("tenant", true);
  for (const [id, name] of [["payments", "failing"], ["meter", "quarantine"], ["sensors", "rejected"], ["fleet-eu", "stale"]]) {
    await to(`#/tenant/${id}`, id);
    await page.locator(".problem").first().waitFor();
    await shot(`tenant-${name}`, true);
    await page.emulateMedia({ colorScheme: "dark" });
    await shot(`tenant-${name}-dark`);
    await page.emulateMedia({ colorScheme: "light" });
  }
  await to("#/", "Overview");
  await page.keyboard.press("?");
  await shot("help");
  await page.keyboard.press("Escape");
  await mock.close();
  await shows(page, "#banner", "No connection");
  await shot("reconnecting");
});

test("300 tenants have theirs", async (t) => {
  const { page, shot } = await filled(t, {}, (mock) => {
    const states = ["asleep", "ready", "ready", "ready", "ready"];
    for (let i = 0; i < 300; i += 1) {
      const id = `site-${String(i).padStart(3, "0")}`;
      const state = i === 17 ? "failing" : i === 140 ? "rejected" : i === 201 ? "quarantined" : states[i % 5];
      mock.add(id, { state, ...(state === "asleep" ? { pid: null, sandbox: [] } : {}) });
      for (let k = 0; k < 30; k += 1) decide(mock, Date.now() - Math.floor(draw() * SECONDS * 1_000), id);
    }
  });
  await shows(page, ".tenants-panel .dim", "of 300");
  await shot("tenants-300", true);
  await page.mouse.wheel(0, 900);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 400)));
  await shot("tenants-300-scrolled");
});

test("a tablet has two", async (t) => {
  const { page, shot, to } = await filled(t, { viewport: { width: 900, height: 1_180 } });
  await shot("tablet");
  await to("#/decisions", "Decisions");
  await page.locator(".decision:visible").nth(3).click();
  await page.locator(".inspector").waitFor();
  await shot("tablet-decision");
  await page.keyboard.press("w");
  await page.locator(".why-told").waitFor();
  await shot("tablet-why");
});

test("so it does on a phone", async (t) => {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    const { page, mock, shot, to } = await filled(t, { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme });
    const name = (/** @type {string} */ of) => (colorScheme === "dark" ? `${of}-dark` : of);
    await shot(name("phone"), true);
    await to("#/decisions", "Decisions");
    await until("decisions are there", async () => (await page.locator(".decision:visible").count()) > 12);
    await shot(name("phone-decisions"));
    await page.locator(".decision:visible").nth(2).click();
    await page.locator(".inspector").waitFor();
    await shot(name("phone-decision"));
    mock.why = (tenant) => ({ body: roles(tenant, "91bb20ff3c50a7") });
    await page.locator(".why-button").click();
    await page.locator(".why-told").waitFor();
    await shot(name("phone-why"));
    await to("#/alerts", "Alerts");
    await shot(name("phone-alerts"), true);
    await to("#/tenant/payments", "payments");
    await shot(name("phone-tenant"), true);
  }
});
