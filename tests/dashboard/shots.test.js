// Every page as a picture, in target/dashboard: for whoever judges the design, and for documents.
// Five minutes of decisions are sent within moments, to a page whose clock is moved along.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, open, SHOTS, shows, until } from "./harness.js";
import { Mock, random } from "./mock.js";

const SECONDS = 300;
const STEP = 2;
const ALLOW = ["Granted by role operator", "Allowed by data residency policy", "Within the maintenance window"];
const DENY = ["sensor_data must not be read in region US", "Only reading is allowed", "Outside the maintenance window"];
const BUSY = ["tenant_a", "tenant_a", "tenant_a", "tenant_b", "tenant_b", "billing", "fleet-eu", "fleet-us"];

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const draw = random(7);

/** @param {Mock} mock */
function decide(mock) {
  const tenant = BUSY[Math.floor(draw() * BUSY.length)];
  const allow = draw() > (tenant === "tenant_b" ? 0.2 : 0.04);
  mock.decide(tenant, {
    allow,
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

/** @param {Mock} mock */
function populate(mock) {
  const at = new Date(Date.now() - 90_000).toISOString();
  mock.add("tenant_a");
  mock.add("tenant_b", { version: "2.1.0", reloads: 3 });
  mock.add("tenant-c", { version: "0.3.0", state: "asleep", activation: "lazy", pid: null, sandbox: [] });
  mock.add("billing", { version: "4.12.1", restarts: 2, restarts_by_cause: { crash: 2 } });
  mock.add("fleet-eu", { last_error: { at, message: "rules.rego:40:1: rego_parse_error: unexpected end", errors: [{ code: "rego_parse_error", message: "unexpected end", location: { file: "rules.rego", row: 40, col: 1 } }] } });
  mock.add("fleet-us");
  mock.add("sensors", {
    state: "rejected", revision: null, version: null, pid: null, sandbox: [],
    last_error: { at, message: "the bundle does not compile", errors: [{ code: "rego_parse_error", message: "expected `}` but found `allow`", location: { file: "policy.rego", row: 12, col: 3 } }] },
  });
}

/** Fills the last five minutes. @param {import("playwright-core").Page} page @param {Mock} mock */
async function history(page, mock) {
  let sent = 0;
  for (let second = 0; second < SECONDS; second += STEP) {
    await page.evaluate((shift) => {
      Object.assign(window, { shift });
    }, (second - SECONDS) * 1_000);
    const many = Math.round(60 + 28 * Math.sin(second / 28) + draw() * 16 + (second > 180 && second < 200 ? 70 : 0));
    for (let i = 0; i < many; i += 1) decide(mock);
    sent += many;
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 12)));
  }
  await page.evaluate(() => Object.assign(window, { shift: 0 }));
  return sent;
}

/** @param {import("node:test").TestContext} t @param {import("playwright-core").BrowserContextOptions} [options] */
async function filled(t, options = {}) {
  const mock = new Mock();
  populate(mock);
  const base = await mock.listen();
  t.after(() => mock.close());
  const { page, close } = await open(browser, options);
  t.after(close);
  await page.addInitScript(`{ const real = Date.now; window.shift = ${-SECONDS * 1_000}; Date.now = () => real() + window.shift; }`);
  await page.goto(`${base}/dashboard`);
  await live(page);
  await history(page, mock);
  mock.change("billing", "crashed", "the worker ended by signal 11");
  mock.quota("fleet-us", "80 % of this month's decisions are used");
  mock.change("tenant_b", "reloaded", "another revision serves");
  const asking = setInterval(() => {
    for (let i = 0; i < 4; i += 1) decide(mock);
  }, 100);
  t.after(() => clearInterval(asking));
  await page.mouse.move(4, 400);
  await until("the rate is steady", async () => Number(await page.locator(".figure-value").first().textContent()) >= 38);
  const shot = async (/** @type {string} */ name, full = false) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(width <= 0, `${name} is too wide`);
    await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: full });
  };
  const to = async (/** @type {string} */ hash, /** @type {string} */ title) => {
    await page.evaluate((address) => {
      location.hash = address;
    }, hash);
    await shows(page, "h1", title);
  };
  return { page, mock, shot, to };
}

test("every page has its picture", async (t) => {
  const { page, mock, shot, to } = await filled(t);
  await shot("overview-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("overview-dark");
  await page.setViewportSize({ width: 1920, height: 1080 });
  await shot("overview-wall");
  await page.setViewportSize({ width: 1440, height: 900 });
  await to("#/alerts", "Alerts");
  await shot("alerts-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await shot("alerts");
  await to("#/decisions", "Decisions");
  mock.lag(42);
  await shows(page, ".gap", "42 events");
  await page.locator(".decision", { hasText: "2 redacted" }).first().click();
  await page.locator(".inspector").waitFor();
  await shot("decisions-open");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("decisions-open-dark");
  await to("#/tenant/tenant_b", "tenant_b");
  await until("its stream runs", async () => (await page.locator(".decision:visible").count()) > 12);
  await shot("tenant-dark", true);
  await page.emulateMedia({ colorScheme: "light" });
  await shot("tenant", true);
  await to("#/tenant/sensors", "sensors");
  await shows(page, ".tenant-body .errors", "policy.rego:12:3");
  await shot("tenant-rejected");
  await to("#/", "Overview");
  await page.keyboard.press("?");
  await shot("help");
  await page.keyboard.press("Escape");
  await mock.close();
  await shows(page, "#banner", "No connection");
  await shot("reconnecting");
});

test("so it does on a phone", async (t) => {
  const { page, shot, to } = await filled(t, { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  await shot("phone", true);
  await to("#/decisions", "Decisions");
  await until("decisions are there", async () => (await page.locator(".decision:visible").count()) > 12);
  await shot("phone-decisions");
  await page.locator(".decision").nth(2).click();
  await page.locator(".inspector").waitFor();
  await shot("phone-decision");
  await to("#/alerts", "Alerts");
  await shot("phone-alerts");
  await to("#/tenant/tenant_b", "tenant_b");
  await shot("phone-tenant", true);
});
