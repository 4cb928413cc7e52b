// All alerts: problems first, then the denials of each tenant, then what was seen already.

import { el, glyph, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { alertGlyph, AlertItem } from "./parts.js";

/** How often "3 s ago" is set again where nothing else changes. */
const AGO_MILLIS = 1_000;

/** A list of alerts that is changed in place. */
class Group {
  /** @param {((key: string) => void)|null} onSeen */
  constructor(onSeen) {
    this.onSeen = onSeen;
    this.element = el("ol", { class: "alerts", role: "list" });
    /** @type {Map<string, AlertItem>} */
    this.items = new Map();
  }

  /** @param {import("./alerts.js").Alert[]} alerts @param {number} now */
  set(alerts, now) {
    const keys = new Set(alerts.map(keyOf));
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.element.remove();
      this.items.delete(key);
    }
    for (const [i, alert] of alerts.entries()) {
      let item = this.items.get(keyOf(alert));
      if (item === undefined) {
        item = new AlertItem(alert, glyph(alertGlyph(alert)), this.onSeen);
        this.items.set(keyOf(alert), item);
      }
      // One that has the focus would lose it where it is moved.
      if (this.element.children[i] !== item.element && !item.element.contains(document.activeElement)) {
        this.element.insertBefore(item.element, this.element.children[i] ?? null);
      }
      item.fill(alert, now);
    }
  }
}

/** One kind and tenant may have been seen several times. @param {import("./alerts.js").Alert} alert */
const keyOf = (alert) => `${alert.key} ${alert.first}`;

export class AlertsPage {
  /** @param {import("./app.js").Context} context */
  constructor({ store }) {
    this.store = store;
    this.title = "Alerts";
    this.drawn = -1;
    this.drawnAt = 0;
    const see = (/** @type {string} */ key) => {
      store.alerts.markSeen(key);
      this.update(Date.now());
      this.heading.focus();
    };
    const all = (/** @type {"problems"|"denials"} */ which) =>
      el("button", { type: "button", class: "quiet", on: { click: () => {
        store.alerts.markAll(which);
        this.update(Date.now());
        this.heading.focus();
      } } }, "Mark all seen");
    this.problems = new Group(see);
    this.denials = new Group(see);
    this.seen = new Group(null);
    this.problemCount = el("span", { class: "dim" });
    this.denialCount = el("span", { class: "dim" });
    this.heading = el("h1", { tabindex: "-1" }, "Alerts");
    this.problemPanel = el("section", { class: "panel", "aria-labelledby": "problems-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "problems-title" }, "Problems"), this.problemCount, all("problems")), this.problems.element);
    this.others = el("p", { class: "dim others", hidden: true });
    this.denialPanel = el("section", { class: "panel", "aria-labelledby": "denials-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "denials-title" }, "Denials"), this.denialCount, all("denials")), this.denials.element, this.others);
    this.seenTitle = el("summary", {});
    this.seenPanel = el("details", { class: "panel seen" }, this.seenTitle, this.seen.element);
    this.nothing = el("p", { class: "empty" }, "Nothing to see: no rejected bundles, no crashes, no denials that you have not seen.");
    this.element = el("div", { class: "page alerts-page" }, this.heading, this.nothing, this.problemPanel, this.denialPanel, this.seenPanel);
  }

  /** @param {number} now */
  update(now) {
    const { alerts } = this.store;
    if (alerts.version === this.drawn && now - this.drawnAt < AGO_MILLIS) return;
    this.drawn = alerts.version;
    this.drawnAt = now;
    const unseen = alerts.unseen();
    const problems = unseen.filter((alert) => alert.kind !== "denial");
    const denials = unseen.filter((alert) => alert.kind === "denial");
    this.problems.set(problems, now);
    this.denials.set(denials, now);
    this.seen.set(alerts.seen, now);
    setText(this.problemCount, count(problems.length));
    setText(this.denialCount, plural(denials.length, "tenant"));
    setText(this.others, `${plural(alerts.otherDenials, "denial")} of further tenants`);
    setText(this.seenTitle, `Seen before (${alerts.seen.length})`);
    this.others.hidden = alerts.otherDenials === 0;
    this.problemPanel.hidden = problems.length === 0;
    this.denialPanel.hidden = denials.length === 0 && alerts.otherDenials === 0;
    this.seenPanel.hidden = alerts.seen.length === 0;
    this.nothing.hidden = unseen.length > 0 || alerts.otherDenials > 0;
  }

  destroy() {}
}
