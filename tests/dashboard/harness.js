// What the browser tests share: a browser, a supervisor of their own, and waiting with a deadline.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { Mock } from "./mock.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BINARY = process.env.ENFORCER ?? join(ROOT, "target/release/edge-policy-enforcer");
export const SHOTS = join(ROOT, "target/dashboard");

/** Within this, whatever is promised has happened, on a busy machine too. */
export const DEADLINE = 20_000;
const POLL = 25;

/** @param {number} millis */
const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/**
 * Waits until this is true.
 * @param {string} what @param {() => Promise<unknown>|unknown} check
 */
export async function until(what, check) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    if (await check()) return;
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await pause(POLL);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** The real binary, with bundles that a test may change. */
export class Supervisor {
  /** @param {string} [config] of the operator's file */
  async prepare(config) {
    this.directory = await mkdtemp(join(tmpdir(), "dashboard-"));
    this.bundles = join(this.directory, "tenants.d");
    await cp(join(ROOT, "config/tenants.d"), this.bundles, { recursive: true });
    if (config !== undefined) {
      this.config = join(this.directory, "enforcer.toml");
      await writeFile(this.config, config);
    }
    this.port = await freePort();
    this.base = `http://127.0.0.1:${this.port}`;
    await this.start();
  }

  async start() {
    this.process = spawn(BINARY, [], {
      env: { ...process.env, ENFORCER_PORT: String(this.port), ENFORCER_HOST: "127.0.0.1", BUNDLES_DIR: this.bundles, LOG_LEVEL: "error", ...(this.config === undefined ? {} : { ENFORCER_CONFIG: this.config }) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    await until("the supervisor serves", async () => {
      assert.equal(this.process?.exitCode, null, "the supervisor ended");
      return fetch(`${this.base}/health?bundles`).then((answer) => answer.ok, () => false);
    });
  }

  async stop() {
    const { process } = this;
    if (process === undefined || process.exitCode !== null) return;
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill("SIGTERM");
    const slow = setTimeout(() => process.kill("SIGKILL"), DEADLINE);
    await ended;
    clearTimeout(slow);
  }

  /** Replaces the operator's file, and has it read. @param {string} config */
  async reload(config) {
    assert.ok(this.config !== undefined && this.process !== undefined);
    await writeFile(this.config, config);
    this.process.kill("SIGHUP");
  }

  async remove() {
    await this.stop();
    if (this.directory) await rm(this.directory, { recursive: true, force: true });
  }

  /** Asks as the README does. @param {string} tenant @param {any} input JSON text, or what becomes it */
  async ask(tenant, input) {
    const body = `{"input":${typeof input === "string" ? input : JSON.stringify(input)}}`;
    const { stdout } = await promisify(execFile)("curl", ["-s", "-X", "POST", `${this.base}/v1/data/tenants/${tenant}/allow`, "-H", "Content-Type: application/json", "-d", body]);
    return JSON.parse(stdout);
  }
}

export async function launch() {
  await mkdir(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/**
 * A page in a profile of its own, which notes whatever went wrong in it.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(DEADLINE);
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error.stack)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  return { page, complaints, close: () => context.close() };
}

/**
 * The page of a mock, which ends with the test.
 * @param {import("playwright-core").Browser} browser @param {import("node:test").TestContext} t
 * @param {(mock: Mock) => void} prepare @param {string} hash @param {import("playwright-core").BrowserContextOptions} options
 */
export async function mocked(browser, t, prepare, hash, options) {
  const mock = new Mock();
  prepare(mock);
  const base = await mock.listen();
  t.after(() => mock.close());
  const opened = await open(browser, options);
  await opened.page.goto(`${base}${mock.prefix}/dashboard${hash}`);
  t.after(opened.close);
  return { ...opened, mock };
}

/** @param {import("playwright-core").Page} page */
export const live = (page) => page.locator('#connection[data-state="connected"]').waitFor();

/** Text of the page within this. @param {import("playwright-core").Page} page @param {string} selector @param {string|RegExp} text */
export const shows = (page, selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();

/** Opens a decision and asks why, by the keyboard. @param {import("playwright-core").Page} page @param {number} [nth] of the list */
export async function askWhy(page, nth = 0) {
  await page.locator(".decision:visible").nth(nth).click();
  await page.locator(".why-button").waitFor();
  await page.keyboard.press("w");
}

/** Complaints that are not the browser's own about a server that is gone on purpose. @param {string[]} complaints */
export const serious = (complaints) => complaints.filter((text) => !/ERR_CONNECTION|WebSocket connection|Failed to load resource/.test(text));

/** Texts whose contrast is under 4.5:1. Runs in the page. */
export function faint() {
  const parse = (/** @type {string} */ color) => {
    const parts = color.match(/[\d.]+/g)?.map(Number) ?? [];
    const scale = color.startsWith("color(") ? 255 : 1;
    return { rgb: parts.slice(0, 3).map((n) => n * scale), alpha: parts[3] ?? 1 };
  };
  const luminance = (/** @type {number[]} */ rgb) => {
    const [r, g, b] = rgb.map((n) => (n / 255 <= 0.03928 ? n / 255 / 12.92 : ((n / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (element === null || walker.currentNode.textContent?.trim() === "") continue;
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest(".off-screen, .skip, :disabled, option")) continue;
    let ground = [255, 255, 255];
    for (let at = /** @type {Element|null} */ (element); at !== null; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) {
        ground = rgb;
        break;
      }
    }
    const style = getComputedStyle(element);
    const text = parse(element.closest("svg") ? style.fill : style.color).rgb;
    const [high, low] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`${walker.currentNode.textContent?.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}

/** What is wrong for those who do not see the page: controls without a name, ids that stand twice. Runs in the page. */
export function unnamed() {
  const found = [];
  for (const element of document.querySelectorAll("a, button, input, select, summary, [role=img], img, [tabindex='0']")) {
    if (!element.checkVisibility()) continue;
    const name = element.getAttribute("aria-label") ?? element.getAttribute("alt") ?? document.getElementById(element.getAttribute("aria-labelledby") ?? "")?.textContent ?? element.textContent;
    const isLabelled = element instanceof HTMLInputElement && (element.labels?.length ?? 0) > 0;
    if (!name?.trim() && !isLabelled && element.getAttribute("alt") === null) found.push(element.outerHTML.slice(0, 80));
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`#${id} stands twice`);
  if (document.querySelectorAll("main h1").length !== 1) found.push("there is not one heading of the page");
  return [...new Set(found)];
}
