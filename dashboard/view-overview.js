// The whole host at a glance.

import { alertGlyph, AlertItem } from "./alert-item.js";
import { Crosshair } from "./chart.js";
import { el, foreign, glyph, setAttr, setText } from "./dom.js";
import { verdictOf } from "./feed.js";
import { clock, count, cut, NONE } from "./format.js";
import { HostPanel } from "./host-panel.js";
import { addressOf } from "./inspector.js";
import { askForOne, evaluationChart, Figure, rateChart, Traffic } from "./parts.js";
import { inTrouble, STATES } from "./states.js";
import { TenantTable } from "./table.js";

/** Alerts that are shown here; the others are on their own page. */
const ALERTS = 8;
const CHART_MILLIS = 1_000;
/** As many as stand beside a short table. */
const LATEST = 10;
/** Faster than this, nobody reads along. */
const LATEST_MILLIS = 1_000;
const MAX_REASON = 120;

/** The last few decisions, for a screen that is wide enough to have them beside the tenants. */
class Latest {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.drawnAt = 0;
    /** @type {number|null} */
    this.newest = null;
    this.rows = Array.from({ length: LATEST }, () => {
      const verdict = el("span", { class: "verdict" });
      const tenant = el("a", { class: "tenant" }, foreign(""));
      const reason = foreign("", { class: "reason" });
      const time = el("time", { class: "dim" });
      return { verdict, tenant, reason, time, shown: "", element: el("li", { hidden: true }, verdict, tenant, time, reason) };
    });
    this.nothing = el("p", { class: "empty small" }, "No decisions yet.");
    this.element = el("section", { class: "panel latest", "aria-labelledby": "latest-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "latest-title" }, "Latest decisions"), el("a", { class: "alerts-more", href: "#/decisions" }, "All decisions")),
      el("ol", { role: "list" }, ...this.rows.map((row) => row.element)), this.nothing);
  }

  /** @param {number} now */
  update(now) {
    const { feed } = this.store;
    if (feed.newest === this.newest || now - this.drawnAt < LATEST_MILLIS) return;
    this.newest = feed.newest;
    this.drawnAt = now;
    let at = feed.entries.length - 1;
    for (const row of this.rows) {
      while (at >= feed.head && feed.entries[at]?.kind === "gap") at -= 1;
      const entry = at >= feed.head ? feed.entries[at] : undefined;
      at -= 1;
      row.element.hidden = entry === undefined;
      if (entry === undefined || entry.kind === "gap") continue;
      const verdict = verdictOf(entry);
      if (row.shown !== verdict) {
        row.shown = verdict;
        row.verdict.className = `verdict ${verdict}`;
        row.verdict.replaceChildren(glyph(verdict), el("span", { class: "off-screen" }, verdict));
      }
      setText(row.tenant.firstChild, entry.tenant);
      setAttr(row.tenant, "href", addressOf(entry.eventId));
      setText(row.reason, cut(entry.kind === "error" ? `${entry.code}: ${entry.message}` : (entry.reason ?? "no reason"), MAX_REASON));
      setText(row.time, clock(entry.at));
    }
    this.nothing.hidden = !this.rows[0].element.hidden;
  }
}

export class Overview {
  /** @param {import("./app.js").Context} context */
  constructor({ store }) {
    this.store = store;
    this.title = "Overview";
    this.traffic = new Traffic();
    this.tenants = new Figure("Tenants in trouble");
    this.alerts = new Figure("Alerts", { span: "not seen", href: "#/alerts" });
    this.rates = rateChart();
    this.times = evaluationChart();
    new Crosshair().link(this.rates, this.times);
    this.host = new HostPanel(store);
    this.chartedAt = 0;
    this.fills = 0;
    this.table = new TenantTable(store, () =>
      el("p", { class: "empty" }, "No tenants yet. Put a directory with a policy in it into BUNDLES_DIR: its name is the tenant's id."));
    this.items = el("ol", { class: "alerts", role: "list" });
    this.others = el("a", { class: "alerts-more", href: "#/alerts" });
    this.noAlerts = el("p", { class: "alerts-none dim" }, "There are no alerts that you have not seen.");
    this.alertPanel = el("section", { class: "panel alert-panel", "aria-labelledby": "alerts-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "alerts-title" }, "Alerts"), this.others), this.items, this.noAlerts);
    /** @type {Map<string, AlertItem>} */
    this.shown = new Map();
    this.latest = new Latest(store);
    this.ask = el("div", { class: "ask", hidden: true });
    this.asked = "";
    this.heading = el("h1", { class: "off-screen", tabindex: "-1" }, "Overview");
    this.element = el("div", { class: "overview" },
      this.heading,
      el("dl", { class: "figures" }, ...[...this.traffic.all, this.tenants, this.alerts].map((figure) => figure.element)),
      el("div", { class: "charts with-alerts" }, this.rates.element, this.times.element, this.alertPanel),
      this.ask, el("div", { class: "table-and-latest" }, this.table.element, this.latest.element), this.host.element);
  }

  /** @param {number} now */
  update(now) {
    const { store } = this;
    this.traffic.set(store.figures(null, now), store.streaming);
    this.setTenants(now);
    const { all, grave } = store.alerts.counts;
    this.alerts.set(count(all), all === 0 ? "all seen" : grave === 0 ? "warnings only" : `${count(grave)} ${grave === 1 ? "needs" : "need"} attention`, grave > 0 ? "bad" : "");
    if (now - this.chartedAt >= CHART_MILLIS || this.fills !== store.fills) {
      this.chartedAt = now;
      this.fills = store.fills;
      this.rates.update(store.rates(null, now));
      this.times.update(store.evaluations(null, now));
    }
    this.setAsk();
    this.setAlerts(now);
    this.table.update(now);
    this.latest.update(now);
    this.host.update(now);
  }

  /** @param {number} now */
  setTenants(now) {
    const { store } = this;
    let trouble = 0;
    for (const tenant of store.tenants.values()) if (inTrouble(tenant, store.serverTime(now))) trouble += 1;
    const states = store.states();
    const notes = STATES.filter((state) => states.has(state)).map((state) => `${count(states.get(state))} ${state}`);
    const total = store.tenants.size;
    this.tenants.set(store.listed ? `${count(trouble)} of ${count(total)}` : NONE, !store.listed ? "loading" : total === 0 ? "no tenants" : notes.slice(0, 3).join(", "), trouble > 0 ? "bad" : "");
    setAttr(this.tenants.element, "title", notes.join(", "));
  }

  /** How to ask, until the first decision comes. */
  setAsk() {
    const { store } = this;
    const first = store.received === 0 && store.streaming ? ([...store.tenants.keys()][0] ?? "") : "";
    if (first === this.asked) return;
    this.asked = first;
    this.ask.hidden = first === "";
    this.ask.replaceChildren(...(first === "" ? [] : [askForOne(first)]));
  }

  /** @param {number} now */
  setAlerts(now) {
    const { alerts } = this.store;
    const unseen = alerts.unseen();
    const shown = unseen.slice(0, ALERTS);
    for (const [key, item] of this.shown) {
      if (shown.some((alert) => alert.key === key)) continue;
      item.element.remove();
      this.shown.delete(key);
    }
    for (const [i, alert] of shown.entries()) {
      let item = this.shown.get(alert.key);
      if (item === undefined) {
        item = new AlertItem(alert, glyph(alertGlyph(alert)), (key) => {
          alerts.markSeen(key);
          this.setAlerts(Date.now());
          this.heading.focus({ preventScroll: true });
        });
        this.shown.set(alert.key, item);
      }
      if (this.items.children[i] !== item.element) this.items.insertBefore(item.element, this.items.children[i] ?? null);
      item.fill(alert, this.store.serverTime(now));
    }
    this.noAlerts.hidden = shown.length > 0;
    setText(this.others, unseen.length > ALERTS ? `All ${count(unseen.length)}` : "All alerts");
  }

  focusFilter() {
    this.table.filter.focus();
  }

  /** @param {number} step */
  walk(step) {
    return this.table.walk(step);
  }

  destroy() {
    this.rates.destroy();
    this.times.destroy();
  }
}
