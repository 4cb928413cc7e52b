// All alerts: what is still the case first, and what was seen already last.

import { alertGlyph, AlertItem } from "./alert-item.js";
import { el, glyph, setText } from "./dom.js";
import { count } from "./format.js";

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
    const all = el("button", { type: "button", class: "quiet", on: { click: () => {
      store.alerts.markAll();
      this.update(Date.now());
      this.heading.focus();
    } } }, "Mark all seen");
    this.unseen = new Group(see);
    this.seen = new Group(null);
    this.count = el("span", { class: "dim" });
    this.heading = el("h1", { tabindex: "-1" }, "Alerts");
    this.panel = el("section", { class: "panel", "aria-labelledby": "unseen-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "unseen-title" }, "Not seen"), this.count, all), this.unseen.element);
    this.seenTitle = el("summary", {});
    this.seenPanel = el("details", { class: "panel seen" }, this.seenTitle, this.seen.element);
    this.nothing = el("p", { class: "empty" }, "There are no alerts that you have not seen. Rejected bundles, quarantines, ended workers, failed requests and marked changes of a share of denials appear here.");
    this.element = el("div", { class: "page alerts-page" }, this.heading, this.nothing, this.panel, this.seenPanel);
  }

  /** @param {number} now */
  update(now) {
    const { alerts } = this.store;
    if (alerts.version === this.drawn && now - this.drawnAt < AGO_MILLIS) return;
    this.drawn = alerts.version;
    this.drawnAt = now;
    const unseen = alerts.unseen();
    const time = this.store.serverTime(now);
    this.unseen.set(unseen, time);
    this.seen.set(alerts.seen, time);
    setText(this.count, count(unseen.length));
    setText(this.seenTitle, `Seen before (${alerts.seen.length})`);
    this.panel.hidden = unseen.length === 0;
    this.seenPanel.hidden = alerts.seen.length === 0;
    this.nothing.hidden = unseen.length > 0;
  }

  destroy() {}
}
