// The dashboard on the real supervisor.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { promisify } from "node:util";
import { askWhy, faint, launch, live, open, serious, SHOTS, shows, Supervisor, until } from "./harness.js";

const supervisor = new Supervisor();
/** @type {import("playwright-core").Browser} */
let browser;

const ALLOWED = { subject: { tenant_id: "tenant_a", user_id: "user_123" }, action: "read", resource: { type: "sensor_data", region: "EU" }, environment: { time: "2025-10-16T14:30:00Z" } };
const DENIED = { action: "read", resource: { type: "sensor_data", region: "US" } };

before(async () => {
  await supervisor.prepare();
  browser = await launch();
});

// It remembers, so each test has one that knows nothing of the tests before.
beforeEach(async () => {
  await supervisor.stop();
  await supervisor.start();
});

after(async () => {
  await browser?.close();
  await supervisor.remove();
});

/** @param {string} [hash] @param {import("playwright-core").BrowserContextOptions} [options] */
async function dashboard(hash = "", options = {}) {
  const opened = await open(browser, options);
  await opened.page.goto(`${supervisor.base}/dashboard${hash}`);
  await live(opened.page);
  return opened;
}

test("it loads without a complaint, under a strict policy of its own", async () => {
  const { page, complaints, close } = await dashboard();
  const answer = await fetch(`${supervisor.base}/dashboard`);
  const policy = answer.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  await shows(page, ".tenants tbody tr", "tenant_a");
  await shows(page, ".tenants tbody tr", "tenant-c");
  assert.deepEqual(complaints, []);
  await close();
});

test("the first decision comes from the line that the page gives", async () => {
  const { page, close } = await dashboard("#/decisions");
  const line = (await page.locator(".command code").textContent()) ?? "";
  const { stdout } = await promisify(execFile)("bash", ["-c", line]);
  assert.equal(typeof JSON.parse(stdout).result.allow, "boolean");
  await page.locator(".decision:visible").first().waitFor();
  assert.equal(await page.locator(".command").isVisible(), false);
  await close();
});

test("a decision that curl asks for is shown, and counted", async () => {
  const { page, complaints, close } = await dashboard("#/decisions");
  const { decision_id } = await supervisor.ask("tenant_a", DENIED);
  await shows(page, ".decision", "sensor_data must not be read in region US");
  await shows(page, ".decision .verdict", "deny");
  await page.locator(".decision:visible").first().click();
  await shows(page, ".inspector", decision_id);
  assert.deepEqual(complaints, []);
  await close();
});

test("a decision opens to its whole input, exactly as it was sent", async () => {
  const { page, close } = await dashboard("#/decisions", { permissions: ["clipboard-read", "clipboard-write"] });
  const list = Array.from({ length: 300 }, (_, i) => `"item ${i}"`).join(",");
  await supervisor.ask("tenant_a", `{"action":"read","resource":{"type":"sensor_data","region":"EU"},"id":9007199254740993,"list":[${list}],"nothing":null}`);
  await page.locator(".decision:visible").first().click();
  const input = (await page.locator(".inspector .json").textContent()) ?? "";
  assert.match(input, /"id": 9007199254740993,/);
  assert.match(input, /"item 299"/);
  assert.equal(JSON.parse(input).list.length, 300);
  await shows(page, ".inspector .chips", "pii.email");
  await shows(page, ".inspector .reason", "Allowed by data residency policy");
  await page.getByRole("button", { name: "Copy the input" }).click();
  await shows(page, ".inspector .copy", "Copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), input);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".inspector").isVisible(), false);
  await close();
});

test("decisions are filtered by tenant, verdict and words, and the filter is in the address", async () => {
  const { page, close } = await dashboard("#/decisions");
  await supervisor.ask("tenant_a", DENIED);
  await supervisor.ask("tenant_a", ALLOWED);
  await supervisor.ask("tenant_b", { subject: { user_id: "bob" }, action: "restart", resource: { type: "device" } });
  const rows = page.locator(".decision:visible");
  await until("all are there", async () => (await rows.count()) === 3);
  await page.getByLabel("Filter by tenant").fill("tenant_a");
  await until("tenant_a's are left", async () => (await rows.count()) === 2);
  await page.locator(".segments label", { hasText: "Denied" }).click();
  await until("its denial is left", async () => (await rows.count()) === 1);
  assert.match(page.url(), /tenant=tenant_a/);
  assert.match(page.url(), /only=deny/);
  await supervisor.ask("tenant_b", DENIED);
  await supervisor.ask("tenant_a", DENIED);
  await until("what comes is filtered too", async () => (await rows.count()) === 2);
  await page.reload();
  await live(page);
  assert.equal(await page.getByLabel("Filter by tenant").inputValue(), "tenant_a");
  await page.goto(`${supervisor.base}/dashboard#/decisions`);
  await page.reload();
  await live(page);
  await page.getByLabel("Filter by reason").fill("carol");
  await supervisor.ask("tenant_b", { subject: { user_id: "bob" } });
  await supervisor.ask("tenant_b", { subject: { user_id: "carol" } });
  await until("carol is found in the input", async () => (await rows.count()) === 1);
  await close();
});

test("a paused list stands still, and says how many came meanwhile", async () => {
  const { page, close } = await dashboard("#/decisions");
  await supervisor.ask("tenant_a", DENIED);
  await page.locator(".decision:visible").first().waitFor();
  await page.keyboard.press("p");
  await shows(page, ".list-note", "Paused");
  for (let i = 0; i < 3; i += 1) await supervisor.ask("tenant_a", ALLOWED);
  await shows(page, ".resume", "Show 3 new");
  assert.equal(await page.locator(".decision:visible").count(), 1);
  await page.keyboard.press(" ");
  await until("they are shown", async () => (await page.locator(".decision:visible").count()) === 4);
  await close();
});

test("a denied decision opens to why: the line that failed is marked, with its value", async () => {
  const { page, complaints, close } = await dashboard("#/decisions");
  await supervisor.ask("tenant_a", DENIED);
  await page.locator(".decision:visible").first().waitFor();
  await askWhy(page);
  await shows(page, ".why-verdict", "data.tenants.tenant_a.allow is false");
  await shows(page, ".why-revision", "made this decision, and explains it");
  const source = await readFile(join(supervisor.bundles ?? "", "tenant_a/policy.rego"), "utf8");
  const row = source.split("\n").findIndex((line) => line.startsWith("resident if ")) + 1;
  const line = page.locator(`.why-line.failed[data-row="${row}"]`);
  await line.filter({ hasText: 'input.resource.region is "US"' }).waitFor();
  // As it stands in the file.
  assert.equal(await line.locator("code").textContent(), source.split("\n")[row - 1]);
  assert.deepEqual(await line.locator(".why-part.failed").allTextContents(), ["input.resource.region in data.residency[input.resource.type]"]);
  assert.deepEqual(await page.locator(".why-cause p").first().allTextContents(), ['input.resource.region is "US"']);
  await shows(page, ".why-line.held", 'reading if input.action == "read"');
  await shows(page, ".why-rule.held", /default data\.tenants\.tenant_a\.allow.*= false/);
  // It changed nothing, and is no decision.
  assert.equal(await page.locator(".decision:visible").count(), 1);
  assert.deepEqual(complaints, []);
  await close();
});

test("after a reload, why says that another revision explains it", async () => {
  const bundle = join(supervisor.bundles ?? "", "changing");
  const policy = (/** @type {string} */ action) => `package tenants.changing\n\ndefault allow := false\n\nallow if input.action == "${action}"\n`;
  await mkdir(bundle);
  await writeFile(join(bundle, "policy.rego"), policy("read"));
  const { page, complaints, close } = await dashboard("#/decisions");
  await until("the tenant serves", async () => (await supervisor.ask("changing", { action: "write" })).result);
  const revision = async () => (await (await fetch(`${supervisor.base}/v1/tenants/changing`)).json()).result.revision;
  const before = await revision();
  await writeFile(join(bundle, "policy.rego"), policy("write"));
  await until("another revision serves", async () => (await revision()) !== before);
  await askWhy(page);
  await shows(page, ".why-other", `This decision was made by revision ${before.slice(0, 12)}; revision ${(await revision()).slice(0, 12)} explains it now.`);
  await shows(page, ".why-verdict", "is true");
  await shows(page, ".why-line.held", 'input.action is "write"');
  // Its bundle is away.
  await rm(bundle, { recursive: true });
  await until("it is not served", async () => (await fetch(`${supervisor.base}/v1/tenants/changing`)).status === 404);
  await page.getByRole("button", { name: "Hide the explanation" }).click();
  await page.keyboard.press("w");
  await shows(page, ".why-body .omitted", "no such tenant");
  assert.deepEqual(serious(complaints), []);
  await close();
});

test("an evaluation that failed opens to why as well", async () => {
  const bundle = join(supervisor.bundles ?? "", "conflicting");
  await mkdir(bundle);
  await writeFile(join(bundle, "policy.rego"), "package tenants.conflicting\n\nallow := true if input.x\n\nallow := false if input.y\n");
  const { page, close } = await dashboard("#/decisions?only=error");
  await until("the tenant fails", async () => (await supervisor.ask("conflicting", { x: 1, y: 2 })).code === "internal_error");
  await page.locator(".decision:visible", { hasText: "evaluating query" }).first().waitFor();
  await askWhy(page);
  await shows(page, ".why-verdict", /data\.tenants\.conflicting\.allow failed: .*conflict/);
  await shows(page, ".why-line.held", "input.x is 1");
  await rm(bundle, { recursive: true });
  await close();
});

test("what tenants and clients write stays text", async () => {
  const bundle = join(supervisor.bundles ?? "", "mirror");
  await mkdir(bundle);
  await writeFile(join(bundle, "policy.rego"), "package tenants.mirror\n\ndefault allow := false\n\nredact contains input.text if input.all\n\nreason := input.text\n");
  const { page, complaints, close } = await dashboard("#/decisions");
  const markup = '<img src=x onerror="document.title=`owned`">';
  const hostile = [markup, "</pre><script>document.title='owned'</script>", "\u202etxet dessrever\u2066 \u200f", "long ".repeat(2_000)];
  await until("the tenant serves", async () => (await supervisor.ask("mirror", { text: "hello" })).result);
  for (const text of hostile) await supervisor.ask("mirror", { text, [markup]: [text] });
  const rows = page.locator(".decision:visible");
  await until("all are there", async () => (await rows.count()) >= hostile.length + 1);
  for (let i = 0; i < hostile.length; i += 1) {
    await rows.nth(i).click();
    await page.locator(".inspector").waitFor();
    await page.keyboard.press("Escape");
  }
  await page.goto(`${supervisor.base}/dashboard#/tenant/mirror`);
  await page.locator(".decision:visible").first().waitFor();
  assert.equal(await page.locator("img:not(.brand img), main script").count(), 0);
  assert.ok(!(await page.title()).includes("owned"));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
  assert.deepEqual(complaints, []);
  await close();
});

test("a rejected bundle is an alert with its file and line, until it is seen", async () => {
  const { page, close } = await dashboard();
  const file = join(supervisor.bundles ?? "", "tenant_b/policy.rego");
  const good = await readFile(file, "utf8");
  await writeFile(file, `${good}\nbroken := }\n`);
  const line = good.split("\n").length + 1;
  const alert = page.locator(".alert.rejected");
  await alert.filter({ hasText: `policy.rego:${line}:` }).waitFor();
  await until("it counts in the title", async () => /^\(\d+\) /.test(await page.title()));
  assert.match((await page.locator("#icon").getAttribute("href")) ?? "", /icon-problems/);
  await page.screenshot({ path: join(SHOTS, "rejected.png") });
  await page.goto(`${supervisor.base}/dashboard#/tenant/tenant_b`);
  await shows(page, ".problem .diagnostics", `policy.rego:${line}:`);
  await shows(page, ".problem .source", "broken := }");
  await shows(page, ".problem .caret", "^");
  await shows(page, ".problem", "still serves");
  await page.goto(`${supervisor.base}/dashboard#/alerts`);
  await page.reload();
  await live(page);
  await alert.first().waitFor();
  await alert.first().getByRole("button", { name: "Mark as seen" }).click();
  await until("it is gone from the unseen", async () => (await page.locator(".alerts-page section .alert.rejected").count()) === 0);
  await page.reload();
  await live(page);
  await shows(page, "#connection", "Live");
  await until("tenants are listed", async () => (await page.locator("h1").textContent()) === "Alerts");
  assert.equal(await page.locator(".alerts-page section .alert.rejected").count(), 0);
  await writeFile(file, good);
  await close();
});

test("a bundle that is suspicious is marked, and its page says why and what is ignored", async () => {
  const { page, close } = await dashboard();
  const file = join(supervisor.bundles ?? "", "tenant_b/policy.rego");
  const notes = join(supervisor.bundles ?? "", "tenant_b/NOTES.txt");
  const good = await readFile(file, "utf8");
  await writeFile(notes, "what is said of it");
  await writeFile(file, "package tenants.tenant_b\n\nallowed if input.action == \"read\"\n");
  const row = page.locator(".tenants tbody tr").filter({ hasText: "tenant_b" });
  await row.locator(".trouble").waitFor();
  await page.goto(`${supervisor.base}/dashboard#/tenant/tenant_b`);
  await shows(page, ".problem.warnings .diagnostics", "allow");
  await shows(page, ".tenant-body .facts", "NOTES.txt");
  await shows(page, ".tenant-body .facts", "bytecode");
  await page.screenshot({ path: join(SHOTS, "warning.png") });
  await rm(notes);
  await writeFile(file, good);
  await page.goto(`${supervisor.base}/dashboard#/`);
  await row.locator(".trouble").waitFor({ state: "hidden" });
  await close();
});

test("denials are no alerts", async () => {
  const { page, close } = await dashboard("#/alerts");
  for (let i = 0; i < 12; i += 1) await supervisor.ask("tenant_a", DENIED);
  await page.goto(`${supervisor.base}/dashboard#/decisions?only=deny`);
  await until("they are listed", async () => (await page.locator(".decision:visible").count()) === 12);
  await page.goto(`${supervisor.base}/dashboard#/alerts`);
  await shows(page, ".empty", "There are no alerts");
  assert.equal(await page.locator(".alert").count(), 0);
  await close();
});

test("a policy that takes too long is failing, in red, until it decides again", async () => {
  const bundle = join(supervisor.bundles ?? "", "slow");
  await mkdir(bundle, { recursive: true });
  await writeFile(join(bundle, "policy.rego"), `package tenants.slow

default allow := false

allow if input.fast

allow if {
	not input.fast
	count([1 | some i in numbers.range(1, 5000); some j in numbers.range(1, 5000); i == j]) > 0
}
`);
  const { page, complaints, close } = await dashboard();
  await until("the tenant serves", async () => (await supervisor.ask("slow", { fast: true })).result);
  let code = "";
  for (let i = 0; i < 6; i += 1) ({ code } = await supervisor.ask("slow", { fast: false, i }));
  assert.equal(code, "evaluation_timeout");
  const row = page.locator(".tenants tbody tr").filter({ hasText: "slow" });
  await row.locator(".state.failing").waitFor();
  await shows(page, ".alert.failing", "evaluation_timeout");
  await until("the title says so", async () => /^\(\d+\) /.test(await page.title()));
  assert.match((await page.locator("#icon").getAttribute("href")) ?? "", /icon-problems/);
  await page.screenshot({ path: join(SHOTS, "real-failing.png") });
  await page.goto(`${supervisor.base}/dashboard#/tenant/slow`);
  await shows(page, ".problem.bad", "Every evaluation fails");
  await page.getByRole("link", { name: "Show the last one" }).click();
  await shows(page, ".inspector", "No decision");
  await shows(page, ".inspector .json", '"i": 5');
  await supervisor.ask("slow", { fast: true });
  await page.goto(`${supervisor.base}/dashboard#/`);
  await row.locator(".state.ready").waitFor();
  assert.deepEqual(complaints, []);
  await rm(bundle, { recursive: true });
  await row.waitFor({ state: "detached" });
  await close();
});

test("a reload forgets nothing", async () => {
  const { page, complaints, close } = await dashboard("#/decisions");
  const { decision_id } = await supervisor.ask("tenant_a", `{"action":"read","resource":{"type":"sensor_data","region":"EU"},"id":9007199254740993}`);
  await supervisor.ask("tenant_b", DENIED);
  await until("both are there", async () => (await page.locator(".decision:visible").count()) === 2);
  await page.reload();
  await live(page);
  await until("both are there again, and once", async () => (await page.locator(".decision:visible").count()) === 2);
  await page.goto(`${supervisor.base}/dashboard#/decisions/${decision_id}`);
  await shows(page, ".inspector .json", '"id": 9007199254740993');
  await page.goto(`${supervisor.base}/dashboard#/tenant/tenant_a`);
  await shows(page, ".events", "ready");
  assert.deepEqual(complaints, []);
  await close();
});

test("the supervisor says its version and how long it runs", async () => {
  const { page, close } = await dashboard();
  await shows(page, ".host", /Version\d+\.\d+\.\d+/);
  await shows(page, ".host", /Uptime\d+ s/);
  await shows(page, ".host", /Connections\d+ of/);
  await close();
});

test("a tenant's page shows its own decisions and no other's", async () => {
  const { page, complaints, close } = await dashboard();
  await page.locator(".tenants tbody tr", { hasText: "tenant_b" }).click();
  await shows(page, "h1", "tenant_b");
  await shows(page, ".section-head", "Live");
  await shows(page, ".layers", "A short list of system calls");
  await shows(page, ".facts", /pid \d+/);
  await supervisor.ask("tenant_a", ALLOWED);
  await supervisor.ask("tenant_b", { subject: { user_id: "bob" }, action: "restart", resource: { type: "device" } });
  await shows(page, ".decision", "Granted by role operator");
  assert.equal(await page.locator(".decision:visible").count(), 1);
  await page.goBack();
  await page.locator(".tenants").waitFor();
  assert.deepEqual(complaints, []);
  await close();
});

test("a tenant that is not there is said to be so", async () => {
  const { page, close } = await dashboard("#/tenant/nobody");
  await shows(page, ".tenant-page .empty", "There is no such tenant");
  await close();
});

test("the keyboard is enough", async () => {
  const { page, close } = await dashboard("#/decisions");
  await supervisor.ask("tenant_a", DENIED);
  await supervisor.ask("tenant_a", ALLOWED);
  await until("both are there", async () => (await page.locator(".decision:visible").count()) === 2);
  await page.keyboard.press("/");
  await page.keyboard.type("residency");
  await until("one is left", async () => (await page.locator(".decision:visible").count()) === 1);
  const focused = () => page.evaluate(() => document.activeElement?.className ?? "");
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  for (let i = 0; i < 12 && !(await focused()).includes("decision"); i += 1) await page.keyboard.press("Tab");
  assert.match(await focused(), /decision/);
  await page.keyboard.press("Enter");
  await page.locator(".inspector").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H2");
  await page.keyboard.press("Escape");
  assert.match(await focused(), /decision/);
  await page.keyboard.press("?");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await page.goto(`${supervisor.base}/dashboard`);
  await live(page);
  await page.locator(".tenants tbody tr").first().waitFor();
  await page.keyboard.press("Tab");
  assert.match(await focused(), /skip/);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await page.keyboard.press("/");
  await page.keyboard.type("tenant_b");
  await until("one tenant is left", async () => (await page.locator(".tenants tbody tr").count()) === 1);
  await page.keyboard.press("Tab");
  for (let i = 0; i < 20 && !(await page.evaluate(() => document.activeElement?.closest("tbody") !== null)); i += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await shows(page, "h1", "tenant_b");
  await close();
});

test("nothing is wider than a phone", async () => {
  const { page, close } = await dashboard("", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await supervisor.ask("tenant_a", DENIED);
  await page.locator(".tenants tbody tr").first().waitFor();
  for (const hash of ["#/", "#/decisions", "#/alerts", "#/tenant/tenant_a"]) {
    await page.evaluate((to) => {
      location.hash = to;
    }, hash);
    await until("the page is there", () => page.evaluate(() => document.querySelector("main h1") !== null));
    await until(`${hash} fits`, () => page.evaluate(() => document.documentElement.scrollWidth <= 360));
  }
  await supervisor.ask("tenant_a", DENIED);
  await page.locator(".decision:visible").first().click();
  await page.locator(".inspector").waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await close();
});

test("text is legible in both themes, and the choice is remembered", async () => {
  const { page, close } = await dashboard("", { colorScheme: "light" });
  await supervisor.ask("tenant_a", DENIED);
  await page.locator(".tenants tbody tr").first().waitFor();
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await ground();
  assert.notEqual(light, dark);
  await page.emulateMedia({ colorScheme: "light" });
  for (const theme of ["light", "dark"]) {
    await page.locator("#theme").click();
    await shows(page, "#theme-text", new RegExp(theme, "i"));
    await page.reload();
    await live(page);
    assert.equal(await ground(), theme === "light" ? light : dark);
    for (const hash of ["#/", "#/decisions", "#/alerts", "#/tenant/tenant_a"]) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
      await supervisor.ask("tenant_a", DENIED);
      if (hash.includes("tenant/") || hash.includes("decisions")) await page.locator(".decision:visible").first().click();
      assert.deepEqual(await page.evaluate(faint), [], `${theme} ${hash}`);
    }
  }
  await close();
});

test("a restart of the supervisor is survived, and said", async () => {
  const { page, complaints, close } = await dashboard("#/decisions");
  await supervisor.ask("tenant_a", DENIED);
  await supervisor.ask("tenant_a", DENIED);
  await until("both are there", async () => (await page.locator(".decision:visible").count()) === 2);
  await supervisor.stop();
  await shows(page, "#connection", /Reconnecting in \d+ s/);
  await shows(page, "#banner", "No connection to the supervisor");
  await page.screenshot({ path: join(SHOTS, "reconnecting.png") });
  await supervisor.start();
  await live(page);
  await supervisor.ask("tenant_a", ALLOWED);
  await shows(page, ".decision", "Allowed by data residency policy");
  await shows(page, ".gap", "The supervisor was restarted");
  await until("the banner is gone", async () => !(await page.locator("#banner").isVisible()));
  assert.deepEqual(serious(complaints), []);
  await close();
});
