// The whole host at a glance.

import { el, foreign, glyph, setText } from "./dom.js";
import { clock, count, cut, micros, NONE, percent, plural, rate } from "./format.js";
import { alertGlyph, AlertItem, askForOne, evaluationChart, Figure, rateChart } from "./parts.js";
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
    this.newest = -1;
    this.rows = Array.from({ length: LATEST }, () => {
      const verdict = el("span", { class: "verdict" });
      const tenant = foreign("", { class: "tenant" });
      const reason = foreign("", { class: "reason" });
      const time = el("time", { class: "dim" });
      return { verdict, tenant, reason, time, shown: "", element: el("li", { hidden: true }, verdict, tenant, time, reason) };
    });
    this.nothing = el("p", { class: "empty small" }, "None yet.");
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
      while (at >= feed.head && feed.entries[at]?.kind !== "decision") at -= 1;
      const entry = at >= feed.head ? feed.entries[at] : undefined;
      at -= 1;
      row.element.hidden = entry?.kind !== "decision";
      if (entry?.kind !== "decision") continue;
      const verdict = entry.allow ? "allow" : "deny";
      if (row.shown !== verdict) {
        row.shown = verdict;
        row.verdict.className = `verdict ${verdict}`;
        row.verdict.replaceChildren(glyph(verdict), el("span", { class: "off-screen" }, verdict));
      }
      setText(row.tenant, entry.tenant);
      setText(row.reason, cut(entry.reason ?? "no reason", MAX_REASON));
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
    this.rate = new Figure("Decisions per second");
    this.deny = new Figure("Denied");
    this.p99 = new Figure("p99 evaluation");
    this.tenants = new Figure("Tenants ready");
    this.alerts = new Figure("Alerts", "#/alerts");
    this.rates = rateChart();
    this.times = evaluationChart();
    this.chartedAt = 0;
    this.table = new TenantTable(store, () =>
      el("p", { class: "empty" }, "No tenants yet. Put a directory with a policy in it into BUNDLES_DIR: its name is the tenant's id."));
    this.items = el("ol", { class: "alerts", role: "list" });
    this.others = el("a", { class: "alerts-more", href: "#/alerts" });
    this.noAlerts = el("p", { class: "alerts-none dim" });
    this.alertPanel = el("section", { class: "panel alert-panel", "aria-labelledby": "alerts-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "alerts-title" }, "Problems"), this.others), this.items, this.noAlerts);
    /** @type {Map<string, AlertItem>} */
    this.shown = new Map();
    this.latest = new Latest(store);
    this.ask = el("div", { class: "ask", hidden: true });
    this.asked = "";
    this.heading = el("h1", { class: "off-screen", tabindex: "-1" }, "Overview");
    this.element = el("div", { class: "overview" },
      this.heading,
      el("dl", { class: "figures" }, ...[this.rate, this.deny, this.p99, this.tenants, this.alerts].map((figure) => figure.element)),
      el("div", { class: "charts with-alerts" }, this.rates.element, this.times.element, this.alertPanel),
      this.ask, el("div", { class: "table-and-latest" }, this.table.element, this.latest.element));
  }

  /** @param {number} now */
  update(now) {
    const { store } = this;
    const figures = store.figures(null, now);
    this.rate.set(rate(figures.rate),
      figures.allowRate === null ? (store.streaming ? "counting" : figures.rate === null ? "not connected" : "from metrics") : `${rate(figures.allowRate)} allow, ${rate(figures.denyRate)} deny`);
    this.deny.set(percent(figures.denyShare), figures.decided === 0 ? "none in the last minute" : `of ${count(figures.decided)}, last minute`);
    this.p99.set(micros(figures.p99), figures.p50 === null ? "no decisions" : `p50 ${micros(figures.p50)}`);
    this.setTenants();
    const { problems, denials } = store.alerts.counts;
    this.alerts.set(count(problems + denials),
      problems + denials === 0 ? "all seen"
      : problems === 0 ? (store.alerts.otherDenials > 0 ? "denials in many tenants" : `denials in ${plural(denials, "tenant")}`)
      : denials === 0 ? "not seen" : `${plural(problems, "problem")}, ${count(denials)} with denials`,
      problems > 0 ? "bad" : "");
    if (now - this.chartedAt >= CHART_MILLIS) {
      this.chartedAt = now;
      this.rates.update(store.rates(null, now));
      this.times.update(store.evaluations(null, now));
    }
    this.setAsk();
    this.setAlerts(now);
    this.table.update(now);
    this.latest.update(now);
  }

  setTenants() {
    const { store } = this;
    const states = store.states();
    const total = store.tenants.size;
    // A lazy tenant that sleeps is as well as one that serves.
    const well = (states.get("ready") ?? 0) + (states.get("asleep") ?? 0);
    const notes = ["quarantined", "rejected", "backoff", "starting", "asleep"]
      .filter((state) => states.has(state))
      .map((state) => `${count(states.get(state))} ${state}`);
    this.tenants.set(store.listed ? `${count(states.get("ready") ?? 0)}/${count(total)}` : NONE,
      !store.listed ? "loading" : notes.length === 0 ? "all of them" : notes.slice(0, 2).join(", "), store.listed && well < total ? "bad" : "");
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
    const problems = alerts.unseen().filter((alert) => alert.kind !== "denial");
    const shown = problems.slice(0, ALERTS);
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
      item.fill(alert, now);
    }
    this.noAlerts.hidden = shown.length > 0;
    setText(this.noAlerts, alerts.counts.denials > 0 ? "None. Denials are listed with the alerts." : "None.");
    setText(this.others, problems.length > ALERTS ? `All ${count(problems.length)}` : "All alerts");
  }

  focusFilter() {
    this.table.filter.focus();
  }

  destroy() {
    this.rates.destroy();
    this.times.destroy();
  }
}
