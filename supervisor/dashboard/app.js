// Puts the parts together: where data comes from, which page is shown, and when it is drawn.

import { Alerts } from "./alerts.js";
import { Connection } from "./connection.js";
import { setAttr, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { MetricsReader } from "./openmetrics.js";
import { alertTitle } from "./parts.js";
import { json, pieces, Poll } from "./poll.js";
import { Store } from "./store.js";
import { AlertsPage } from "./view-alerts.js";
import { Decisions } from "./view-decisions.js";
import { Overview } from "./view-overview.js";
import { TenantPage } from "./view-tenant.js";

/** Four times a second is live to the eye, and leaves the page nearly all of its time. */
const DRAW_MILLIS = 250;
const TENANTS_MILLIS = 4_000;
const METRICS_MILLIS = 5_000;
const SAVE_MILLIS = 2_000;
/** A lost connection that is back at once is nobody's concern. */
const BANNER_MILLIS = 1_500;
/** More than this is "a lot", and a number that grows moves what stands beside it. */
const MAX_BADGE = 99;
/** Of this tab: what one operator has seen, another has not. */
const STORED = "enforcer.alerts";
const THEME = "enforcer.theme";
const THEMES = ["auto", "light", "dark"];

/**
 * @typedef {object} Context
 * @property {Store} store
 * @property {() => URL} streamUrl
 *
 * @typedef {object} View
 * @property {string} title
 * @property {HTMLElement} element
 * @property {(now: number) => void} update
 * @property {() => void} destroy
 * @property {() => void} [focusFilter]
 * @property {() => void} [togglePause]
 * @property {() => boolean} [escape]
 */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
const main = byId("main");

/** @param {Storage} storage @param {string} key */
function stored(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {Storage} storage @param {string} key @param {string} value */
function remember(storage, key, value) {
  try {
    storage.setItem(key, value);
  } catch {
    // Full or forbidden: what would have been remembered is not.
  }
}

const store = new Store(Alerts.load(stored(sessionStorage, STORED)));

function streamUrl() {
  const url = new URL("../v1/stream/decisions", import.meta.url);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("events", "decision,tenant,quota");
  return url;
}

// Where the data comes from.

let lostAt = Date.now();
let tenantsFailed = false;
let tenantsAt = 0;

const tenants = new Poll(
  TENANTS_MILLIS,
  async (signal) => store.setTenants(await json(new URL("../v1/tenants", import.meta.url), signal)),
  (failed) => {
    tenantsFailed = failed;
    if (!failed) tenantsAt = Date.now();
  },
);

const metrics = new Poll(
  METRICS_MILLIS,
  async (signal) => {
    const reader = new MetricsReader();
    await pieces(new URL("../metrics", import.meta.url), signal, (piece) => reader.push(piece));
    if (!reader.complete) throw new Error("cut off");
    store.setMetrics(reader, Date.now());
  },
  () => {},
);

/** @type {Connection|null} it reports while it is being made */
let connection = null;
connection = new Connection(streamUrl(), {
  onText(text) {
    const type = store.onText(text, Date.now());
    if (type === "tenant") tenants.kick();
  },
  onStatus(status) {
    const now = Date.now();
    const connected = status.state === "connected";
    if (connected) {
      // Whatever changed meanwhile was not told.
      tenants.kick();
      metrics.kick();
      if (lostAt > 0 && store.received > 0) say("Connected again");
      lostAt = 0;
    } else if (lostAt === 0) {
      lostAt = now;
      say("The connection is lost. Reconnecting.");
    }
    store.setStreaming(connected, now);
    showConnection(now);
  },
});

// Which page is shown.

/** @type {View|null} */
let view = null;

/** @returns {{make: () => View, page: string}} */
function route() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  const context = { store, streamUrl };
  if (path.startsWith("/tenant/")) {
    let id = path.slice("/tenant/".length);
    try {
      id = decodeURIComponent(id);
    } catch {
      // Then it is no tenant's id, and the page says so.
    }
    return { make: () => new TenantPage(context, id), page: "#/" };
  }
  if (path === "/decisions") return { make: () => new Decisions(context, new URLSearchParams(query)), page: "#/decisions" };
  if (path === "/alerts") return { make: () => new AlertsPage(context), page: "#/alerts" };
  return { make: () => new Overview(context), page: "#/" };
}

function show() {
  const first = view === null;
  view?.destroy();
  const { make, page } = route();
  view = make();
  main.replaceChildren(view.element);
  for (const link of document.querySelectorAll("#pages a")) setAttr(link, "aria-current", link.getAttribute("href") === page ? "page" : null);
  view.update(Date.now());
  showAlerts();
  if (first) return;
  scrollTo(0, 0);
  view.element.querySelector("h1")?.focus({ preventScroll: true });
}

addEventListener("hashchange", show);

// Its target is no page of ours, so it must not become the address.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// When it is drawn.

function draw() {
  const now = Date.now();
  showConnection(now);
  showAlerts();
  view?.update(now);
}

/** Draws again and again while somebody can see it. */
function loop() {
  if (!document.hidden) requestAnimationFrame(draw);
  setTimeout(loop, DRAW_MILLIS);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  draw();
  tenants.kick();
});

/** @param {number} now */
function showConnection(now) {
  /** @type {import("./connection.js").Status} */
  const status = connection?.status ?? { state: "connecting" };
  const words = {
    connecting: "Connecting",
    connected: "Live",
    offline: "Offline",
    closed: "Closed",
    waiting: `Reconnecting in ${status.state === "waiting" ? Math.max(0, Math.ceil((status.until - now) / 1000)) : 0} s`,
  };
  setText(byId("connection-text"), words[status.state]);
  setAttr(byId("connection"), "data-state", status.state);
  byId("retry").hidden = status.state !== "waiting";
  const banner = byId("banner");
  const lost = lostAt > 0 && now - lostAt > BANNER_MILLIS;
  banner.hidden = !lost;
  if (lost) {
    const reason = status.state === "waiting" && status.reason !== "" ? ` ${status.reason}.` : "";
    setText(banner,
      tenantsFailed
        ? `No connection to the supervisor.${reason} ${tenantsAt > 0 ? `Shown is what was known at ${clock(tenantsAt)}.` : ""}`
        : `The stream is not connected.${reason} Figures come from /metrics, and are a little late.`);
  }
  byId("sandbox-off").hidden = !store.metrics?.sandboxOff;
}

let alertsShown = -1;
let savedVersion = store.alerts.version;
/** @type {import("./alerts.js").Alert|null} */
let spokenAlert = null;

function showAlerts() {
  const { alerts } = store;
  const { problems, denials } = alerts.counts;
  const sum = problems + denials;
  const number = sum > MAX_BADGE ? `${MAX_BADGE}+` : String(sum);
  const title = `${sum > 0 ? `(${number}) ` : ""}${view?.title ?? ""} · Edge Policy Enforcer`;
  if (document.title !== title) document.title = title;
  if (alerts.version === alertsShown) return;
  alertsShown = alerts.version;
  const badge = byId("badge");
  badge.hidden = sum === 0;
  setText(badge, number);
  setAttr(badge, "data-tone", problems > 0 ? "bad" : null);
  setAttr(badge, "aria-label", `${count(sum)} not seen`);
  const icon = problems > 0 ? "icon-problems.svg" : denials > 0 ? "icon-denials.svg" : "icon.svg";
  setAttr(byId("icon"), "href", new URL(icon, import.meta.url).href);
  if (alerts.newest !== null && alerts.newest !== spokenAlert) {
    spokenAlert = alerts.newest;
    say(`Alert: ${spokenAlert.tenant}: ${alertTitle(spokenAlert)}`);
  }
}

function save() {
  if (store.alerts.version === savedVersion) return;
  savedVersion = store.alerts.version;
  remember(sessionStorage, STORED, store.alerts.save());
}
setInterval(save, SAVE_MILLIS);
addEventListener("pagehide", save);

/** For those who hear the page: connection and alerts, never single decisions. @param {string} text */
function say(text) {
  setText(byId("spoken"), text);
}

// The top bar and the keys.

byId("retry").addEventListener("click", () => connection?.wake());

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "auto";
  setText(byId("theme-text"), theme[0].toUpperCase() + theme.slice(1));
  setAttr(byId("theme"), "aria-label", `Theme: ${theme}`);
}

byId("theme").addEventListener("click", () => {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember(localStorage, THEME, theme);
  showTheme();
});

const help = byId("help-dialog");
byId("help").addEventListener("click", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape") {
    if (view?.escape?.()) event.preventDefault();
    else if (target.matches("input")) target.blur();
    return;
  }
  if (target.matches("input, select, textarea")) return;
  // Space presses what has the focus.
  const presses = target.matches("button, a, summary");
  if (event.key === "/") view?.focusFilter?.();
  else if (event.key === "?") help.showModal();
  else if ((event.key === "p" || (event.key === " " && !presses)) && view?.togglePause) view.togglePause();
  else return;
  event.preventDefault();
});

showTheme();
show();
loop();
