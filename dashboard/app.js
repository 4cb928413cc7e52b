// Puts the parts together: which page is shown, and when it is drawn.

import { Alerts } from "./alerts.js";
import { setAttr } from "./dom.js";
import { listen } from "./keys.js";
import { signIn } from "./session.js";
import { Sources, streamUrl } from "./sources.js";
import { Store } from "./store.js";
import { Top } from "./top.js";
import { AlertsPage } from "./view-alerts.js";
import { Decisions } from "./view-decisions.js";
import { Overview } from "./view-overview.js";
import { TenantPage } from "./view-tenant.js";

/** Four times a second is live to the eye, and leaves the page nearly all of its time. */
const DRAW_MILLIS = 250;
const SAVE_MILLIS = 2_000;
/** Of this tab: what one operator has seen, another has not. The number is that of the form. */
const STORED = "enforcer.alerts.2";

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
 * @property {() => boolean} [explain] whether a decision is open that can be explained
 * @property {() => boolean} [escape] whether there was something to close
 * @property {(step: number) => boolean} [walk] to the next row, or the one before
 */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
const main = byId("main");

function stored() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

const store = new Store(Alerts.load(stored()));
const top = new Top(store);
/** @type {Sources|null} it reports while it is being made */
let sources = null;

// Which page is shown.

/** @type {View|null} */
let view = null;

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    // Then there is nothing with that id, and the page says so.
    return text;
  }
}

/** @returns {{make: () => View, page: string}} */
function route() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  const context = { store, streamUrl };
  if (path.startsWith("/tenant/")) return { make: () => new TenantPage(context, decoded(path.slice("/tenant/".length))), page: "#/" };
  if (path === "/decisions" || path.startsWith("/decisions/")) {
    return { make: () => new Decisions(context, new URLSearchParams(query), decoded(path.slice("/decisions/".length))), page: "#/decisions" };
  }
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
  const now = Date.now();
  view.update(now);
  top.showAlerts(view.title, now);
  if (first) return;
  scrollTo(0, 0);
  // A view that opened something has put the focus there.
  if (!view.element.contains(document.activeElement)) view.element.querySelector("h1")?.focus({ preventScroll: true });
}

// Its target is no page of ours, so it must not become the address.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// When it is drawn.

function draw() {
  const now = Date.now();
  store.compare(now);
  top.showConnection(sources, now);
  top.showAlerts(view?.title ?? "", now);
  view?.update(now);
}

/** Draws again and again while somebody can see it, and looks after the title where nobody can. */
function loop() {
  if (document.hidden) {
    store.compare(Date.now());
    top.showAlerts(view?.title ?? "", Date.now());
  } else requestAnimationFrame(draw);
  setTimeout(loop, DRAW_MILLIS);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || sources === null) return;
  draw();
  sources?.tenants.kick();
  sources?.host.kick();
});

let savedVersion = store.alerts.version;

function save() {
  if (store.alerts.version === savedVersion) return;
  savedVersion = store.alerts.version;
  try {
    sessionStorage.setItem(STORED, store.alerts.save());
  } catch {
    // Full or forbidden: after a reload, alerts that were seen are told again.
  }
}
setInterval(save, SAVE_MILLIS);
addEventListener("pagehide", save);

// The buttons of the top, and the keys.

byId("retry").addEventListener("click", () => sources?.connection?.wake());
const help = byId("help-dialog");
byId("help").addEventListener("click", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());
listen(() => view, help);

signIn({ main, pages: byId("pages"), out: byId("sign-out") }, () => {
  sources = new Sources(store, () => {
    const now = Date.now();
    top.connected(store.streaming, now);
    top.showConnection(sources, now);
  });
  byId("connection").hidden = false;
  addEventListener("hashchange", show);
  show();
  loop();
});
