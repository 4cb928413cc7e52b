// What the real supervisor cannot be made to do on demand: lag, warn of quotas, and more than this
// machine's policies could decide.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, open, serious, SHOTS, shows, until } from "./harness.js";
import { Mock, random } from "./mock.js";

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

/** @param {import("node:test").TestContext} t @param {(mock: Mock) => void} prepare @param {string} [hash] */
async function dashboard(t, prepare, hash = "") {
  const mock = new Mock();
  prepare(mock);
  const base = await mock.listen();
  t.after(() => mock.close());
  const opened = await open(browser);
  await opened.page.goto(`${base}${mock.prefix}/dashboard${hash}`);
  t.after(opened.close);
  return { ...opened, mock };
}

test("gaps are shown as gaps: a lag with its number, and a jump of one tenant's sequence", async (t) => {
  const { page, mock } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  mock.decide("tenant_a");
  mock.decide("tenant_a", { skip: 6 });
  await shows(page, ".gap", "6 decisions of tenant_a missed");
  mock.lag(17);
  mock.lag(3);
  mock.decide("tenant_a", { skip: 20 });
  await shows(page, ".gap", "missed 20 events");
  assert.equal(await page.locator(".gap:visible").count(), 2);
});

test("an input that was too large to stream is said to be so", async (t) => {
  const { page, mock } = await dashboard(t, (m) => m.add("tenant_a"), "#/decisions");
  await live(page);
  mock.decide("tenant_a", { input: null, more: { input_omitted: "too_large" } });
  await page.locator(".decision").first().click();
  await shows(page, ".inspector .omitted", "too large to stream");
});

test("a crash and a quota warning stand above the denials of a thousand tenants", async (t) => {
  const { page, mock } = await dashboard(t, (m) => {
    for (let i = 0; i < 1_000; i += 1) m.add(`tenant-${i}`);
  }, "#/alerts");
  await live(page);
  for (let i = 0; i < 1_000; i += 1) mock.decide(`tenant-${i}`, { allow: false, reason: "no" });
  mock.change("tenant-7", "crashed", "the worker ended by signal 11");
  mock.quota("tenant-8", "80 % of this hour's decisions are used");
  await shows(page, ".alert.crashed", "signal 11");
  await shows(page, ".alert.quota", "80 %");
  await shows(page, ".others", "950 denials of further tenants");
  assert.match((await page.locator(".alerts-page .alert").first().textContent()) ?? "", /tenant-7/);
  await until("the title says there are many", async () => (await page.title()).startsWith("("));
  for (const panel of ["Problems", "Denials"]) await page.locator("section", { has: page.getByRole("heading", { name: panel }) }).getByRole("button", { name: "Mark all seen" }).click();
  await until("all were seen", async () => (await page.title()).startsWith("Alerts"));
});

test("without a stream it says so, and takes its figures from metrics", async (t) => {
  const { page, mock } = await dashboard(t, (m) => {
    m.add("tenant_a");
    m.refuseStream = true;
  });
  await shows(page, "#banner", "Figures come from /metrics");
  const asking = setInterval(() => mock.decide("tenant_a"), 10);
  t.after(() => clearInterval(asking));
  await until("there is a rate", async () => /^[1-9]/.test((await page.locator(".figure-value").first().textContent()) ?? ""));
  await shows(page, ".figure-note", "from metrics");
  mock.refuseStream = false;
  await page.locator("#retry").click();
  await live(page);
  await until("the banner is gone", async () => !(await page.locator("#banner").isVisible()));
});

test("it works below a gateway's path", async (t) => {
  const { page, complaints, mock } = await dashboard(t, (m) => {
    m.prefix = "/edge/7";
    m.add("tenant_a");
  }, "#/tenant/tenant_a");
  await live(page);
  await shows(page, ".section-head", "Its own stream");
  mock.decide("tenant_a", { reason: "behind a gateway" });
  await shows(page, ".decision", "behind a gateway");
  assert.deepEqual(complaints, []);
});

test("ten thousand tenants are listed, sorted and searched", async (t) => {
  const { page, complaints, mock } = await dashboard(t, (m) => {
    for (let i = 0; i < 10_000; i += 1) m.add(`tenant-${i}`, i === 7_777 ? { state: "quarantined" } : {});
  });
  await live(page);
  await shows(page, ".tenants-panel .dim", "1–50 of 10,000");
  await shows(page, ".tenants tbody tr:first-child", "quarantined");
  const asking = setInterval(() => mock.decide("tenant-5555"), 50);
  t.after(() => clearInterval(asking));
  await page.getByRole("button", { name: "Per second" }).click();
  await shows(page, ".tenants tbody tr:first-child", "tenant-5555");
  const started = Date.now();
  await page.getByLabel("Filter tenants").fill("tenant-42");
  await shows(page, ".tenants-panel .dim", "1–50 of 111");
  console.log(`10,000 tenants: filtered within ${Date.now() - started} ms`);
  assert.equal(await page.locator(".tenants tbody tr").count(), 50);
  assert.deepEqual(complaints, []);
});

test("of 2,000 decisions a second of 1,000 tenants every one is counted", async (t) => {
  const { page, complaints, mock } = await dashboard(t, (m) => {
    for (let i = 0; i < 1_000; i += 1) m.add(`tenant-${String(i).padStart(4, "0")}`);
  });
  await live(page);
  await shows(page, ".tenants-panel .dim", "of 1,000");
  await page.evaluate(() => {
    const measured = { frames: /** @type {number[]} */ ([]), long: /** @type {number[]} */ ([]) };
    Object.assign(window, { measured });
    let last = performance.now();
    const frame = () => {
      const now = performance.now();
      measured.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) measured.long.push(entry.duration);
    }).observe({ type: "longtask" });
  });
  const draw = random(3);
  const total = 16_000;
  const ids = [...mock.tenants.keys()];
  let sent = 0;
  await new Promise((resolve) => {
    const started = Date.now();
    const timer = setInterval(() => {
      const due = Math.min(total, (Date.now() - started) * 2);
      for (; sent < due; sent += 1) {
        const allow = draw() > 0.1;
        mock.decide(ids[Math.floor(draw() * ids.length)], {
          allow, reason: allow ? "Granted by role operator" : "Outside the maintenance window", micros: Math.round(20 + draw() * 60),
          input: { subject: { user_id: `user_${sent}`, roles: ["operator", "reader"] }, action: "read", resource: { type: "sensor_data", region: "EU" }, environment: { time: new Date().toISOString() } },
        });
      }
      if (sent < total) return;
      clearInterval(timer);
      resolve(undefined);
    }, 10);
  });
  await page.screenshot({ path: join(SHOTS, "tenants-1000.png") });
  const { frames, long } = await page.evaluate(() => /** @type {any} */ (window).measured);
  frames.sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
  const at = (/** @type {number} */ q) => frames[Math.min(frames.length - 1, Math.floor(q * frames.length))].toFixed(0);
  console.log(`2,000 decisions a second: ${frames.length} frames, median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; ${long.length} long tasks, longest ${Math.max(0, ...long).toFixed(0)} ms`);
  await page.evaluate(() => {
    location.hash = "#/decisions";
  });
  await shows(page, ".list-note", "16,000 received");
  assert.equal(await page.locator(".gap:visible").count(), 0);
  assert.ok((await page.locator(".decision:visible").count()) <= 100);
  await page.getByLabel("Filter by reason").fill(`user_${total - 1}`);
  await until("the last one is found", async () => (await page.locator(".decision:visible").count()) === 1);
  assert.deepEqual(serious(complaints), []);
});
