// Signing in to the dashboard of a real supervisor that asks for a credential, and out again.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { askWhy, faint, launch, live, open, serious, SHOTS, shows, Supervisor, unnamed, until } from "./harness.js";

const OPERATOR = "epe_operator";
const OBSERVER = "epe_observer";

/** @param {string} token @param {string[]} roles @param {string[]} tenants @param {string} [further] */
const lines = (token, roles, tenants, further = "") => `[[credentials.token]]
name = "${token.slice(4)} <b>x</b>"
sha256 = "${createHash("sha256").update(token).digest("hex")}"
roles = ${JSON.stringify(roles)}
tenants = ${JSON.stringify(tenants)}
${further}
`;
const CONFIG = lines(OPERATOR, ["decide", "operate"], ["*"]) + lines(OBSERVER, ["observe"], ["tenant_a"]);

const supervisor = new Supervisor();
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  await supervisor.prepare(CONFIG);
  browser = await launch();
});

beforeEach(async () => {
  await supervisor.stop();
  await supervisor.start();
});

after(async () => {
  await browser?.close();
  await supervisor.remove();
});

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function form(options = {}) {
  const opened = await open(browser, options);
  await opened.page.goto(`${supervisor.base}/dashboard#/decisions`);
  await opened.page.locator("form.sign-in").waitFor();
  return opened;
}

/** @param {import("playwright-core").Page} page @param {string} token */
async function enter(page, token) {
  await page.locator("#token").fill(token);
  await page.keyboard.press("Enter");
}

/** @param {string} token */
const known = (token) => until("the token is known", async () =>
  (await fetch(`${supervisor.base}/dashboard/session`, { headers: { authorization: `Bearer ${token}` } })).ok);

/** @param {any} input */
async function decide(input) {
  const answer = await fetch(`${supervisor.base}/v1/data/tenants/tenant_a/allow`, {
    method: "POST", headers: { authorization: `Bearer ${OPERATOR}` }, body: JSON.stringify({ input }),
  });
  assert.equal(answer.status, 200);
}

test("nobody sees anything before signing in", async () => {
  const { page, complaints, close } = await form();
  await decide({ action: "read" });
  assert.equal(await page.locator("#pages").isVisible(), false);
  assert.equal(await page.locator("#connection").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "token");
  assert.deepEqual(await page.evaluate(unnamed), []);
  assert.deepEqual(await page.evaluate(faint), []);
  assert.deepEqual(serious(complaints), []);
  await page.screenshot({ path: join(SHOTS, "sign-in.png") });
  await close();
});

test("a wrong token is refused, and the right one opens the page with its stream", async () => {
  const { page, complaints, close } = await form();
  await enter(page, "epe_wrong");
  await shows(page, ".sign-in-error", "The credential is not known here.");
  await page.screenshot({ path: join(SHOTS, "sign-in-wrong.png") });
  await enter(page, OPERATOR);
  await live(page);
  await decide({ action: "read", resource: { type: "sensor_data", region: "US" } });
  await shows(page, ".decision .verdict", "deny");
  await askWhy(page);
  await page.locator('.why[data-state="told"]').waitFor();
  assert.deepEqual(serious(complaints), []);
  await close();
});

test("the token is in no address and no storage, and no script can read the cookie", async () => {
  const { page, close } = await form();
  /** @type {string[]} */
  const addresses = [];
  page.on("request", (request) => addresses.push(request.url()));
  await enter(page, OPERATOR);
  await live(page);
  const seen = await page.evaluate(() => [location.href, document.cookie, ...Object.values({ ...localStorage }), ...Object.values({ ...sessionStorage })].join(" "));
  assert.doesNotMatch(`${seen} ${addresses.join(" ")}`, /epe_|enforcer_session/);
  const [cookie] = await page.context().cookies();
  assert.equal(cookie.name, `enforcer_session_${supervisor.port}`);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.doesNotMatch(cookie.value, /epe_/);
  await close();
});

test("the cookie stands for the token where nothing is changed, and nowhere else", async () => {
  const { page, close } = await form();
  await enter(page, OPERATOR);
  await live(page);
  const asked = await page.evaluate(async () => {
    const status = async (/** @type {string} */ path, /** @type {RequestInit} */ options = {}) => (await fetch(path, options)).status;
    return [
      await status("/v1/tenants"),
      await status("/v1/tenants/tenant_a/restart", { method: "POST" }),
      await status("/v1/data/tenants/tenant_a/allow", { method: "POST", body: '{"input":{}}' }),
    ];
  });
  assert.deepEqual(asked, [200, 401, 401]);
  // A page of somebody else: the browser would send no cookie, and with one it would be refused.
  const [cookie] = await page.context().cookies();
  const foreign = async (/** @type {Record<string, string>} */ headers) =>
    (await fetch(`${supervisor.base}/v1/tenants`, { headers: { cookie: `${cookie.name}=${cookie.value}`, ...headers } })).status;
  assert.equal(await foreign({}), 200);
  assert.equal(await foreign({ "sec-fetch-site": "same-site" }), 401);
  assert.equal(await foreign({ "sec-fetch-site": "cross-site" }), 401);
  await close();
});

test("signing out ends the session for everybody who has the cookie", async () => {
  const { page, close } = await form();
  await enter(page, OPERATOR);
  await live(page);
  const [cookie] = await page.context().cookies();
  await page.locator("#sign-out").click();
  await page.locator("form.sign-in").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  const answer = await fetch(`${supervisor.base}/v1/tenants`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(answer.status, 401);
  await close();
});

test("a session ends with its token, and the page shows nothing any more", async () => {
  const { page, close } = await form();
  await enter(page, OPERATOR);
  await live(page);
  await decide({ action: "read", secret: "of-the-tenant" });
  await shows(page, ".decision", "tenant_a");
  await supervisor.reload(lines(OBSERVER, ["observe"], ["tenant_a"]));
  await page.locator("form.sign-in").waitFor();
  await shows(page, ".sign-in-error", "The session has ended. Sign in again.");
  assert.doesNotMatch(await page.content(), /of-the-tenant/);
  await supervisor.reload(CONFIG);
  await known(OPERATOR);
  await enter(page, OPERATOR);
  await live(page);
  await close();
});

test("a token that ends ends the session", async () => {
  const soon = new Date(Date.now() + 12_000).toISOString();
  await supervisor.reload(CONFIG + lines("epe_brief", ["operate"], ["*"], `expires = ${soon}`));
  await known("epe_brief");
  const { page, close } = await form();
  await enter(page, "epe_brief");
  await live(page);
  await page.locator("form.sign-in").waitFor();
  await enter(page, "epe_brief");
  await shows(page, ".sign-in-error", "The credential has expired.");
  await close();
  await supervisor.reload(CONFIG);
});

test("a token for one tenant opens no page about all of them, and its owner is told", async () => {
  const { page, complaints, close } = await form();
  await enter(page, OBSERVER);
  await shows(page, ".sign-in h1", "Not for all tenants");
  await shows(page, ".sign-in", "observer <b>x</b>");
  await shows(page, ".sign-in", "tenant_a");
  await page.screenshot({ path: join(SHOTS, "sign-in-limited.png") });
  await page.locator("#sign-out").click();
  await page.locator("form.sign-in").waitFor();
  assert.deepEqual(serious(complaints), []);
  await close();
});

test("a supervisor that is away is not taken for one that refuses", async () => {
  const { page, close } = await form();
  await supervisor.stop();
  await enter(page, OPERATOR);
  await shows(page, ".sign-in-error", "The supervisor cannot be reached. Try again.");
  await supervisor.start();
  await enter(page, OPERATOR);
  await live(page);
  await close();
});
