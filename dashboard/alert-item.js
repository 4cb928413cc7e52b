// One alert: what happened, to whom, how often, since when, and what to do.

import { diagnosticList, ownWords } from "./diagnostics.js";
import { el, foreign, setAttr, setText } from "./dom.js";
import { advice } from "./errors.js";
import { ago, clock, cut, plural } from "./format.js";

/** A message may have hundreds of characters, and it is one of many. */
const MAX_LINE = 300;

/** @type {Record<string, {one: string, many: string, glyph: string}>} */
const TITLES = {
  quarantined: { one: "quarantined", many: "times quarantined", glyph: "quarantined" },
  rejected: { one: "bundle rejected", many: "bundles rejected", glyph: "rejected" },
  failing: { one: "every evaluation fails", many: "evaluations failed in a row", glyph: "failing" },
  crashed: { one: "worker ended", many: "times the worker ended", glyph: "backoff" },
  failed: { one: "bundle cannot be read", many: "times the bundle could not be read", glyph: "backoff" },
  errors: { one: "1 request failed", many: "requests failed", glyph: "error" },
  shift: { one: "share of denials changed", many: "changes of the share of denials", glyph: "shift" },
  quota: { one: "quota warning", many: "quota warnings", glyph: "backoff" },
};

/** @param {import("./alerts.js").Alert} alert */
export function alertTitle(alert) {
  const words = TITLES[alert.kind];
  const title = alert.count <= 1 ? words.one : plural(alert.count, words.one, words.many);
  return alert.code === "" ? title : `${title}: ${alert.code}`;
}

/** @param {import("./alerts.js").Alert} alert */
export function alertGlyph(alert) {
  return TITLES[alert.kind].glyph;
}

/** When it was, and whether it still is. @param {import("./alerts.js").Alert} alert @param {number} now by the server's clock */
function whenWords({ first, last, over, count }, now) {
  const often = count > 1 && last - first > 1_000;
  const when = often ? `since ${clock(first)}, last one ${ago(last, now)}` : ago(last, now);
  return over === null ? when : `${when} · over`;
}

/** Where more is to be seen. @param {import("./alerts.js").Alert} alert */
function target({ kind, tenant }) {
  const id = encodeURIComponent(tenant);
  if (kind === "shift") return `#/decisions?tenant=${id}&only=deny`;
  if (kind === "errors" || kind === "failing") return `#/decisions?tenant=${id}&only=error`;
  return `#/tenant/${id}`;
}

/** It is changed in place, so that a button under the pointer stays there. */
export class AlertItem {
  /** @param {import("./alerts.js").Alert} alert @param {Node} mark @param {((key: string) => void)|null} onSeen */
  constructor(alert, mark, onSeen) {
    this.tenant = el("a", { href: `#/tenant/${encodeURIComponent(alert.tenant)}` }, foreign(alert.tenant));
    this.title = el("span", { class: "alert-title" });
    this.when = el("time", { class: "dim" });
    this.message = foreign("", { class: "alert-message" });
    this.errors = el("div");
    this.todo = el("p", { class: "alert-todo" });
    this.said = "";
    this.element = el("li", { class: `alert ${alert.kind}` },
      el("span", { class: "alert-mark" }, mark),
      el("div", { class: "alert-body" },
        el("p", { class: "alert-line" }, this.tenant, this.title, this.when),
        this.message, this.errors, this.todo),
      el("div", { class: "alert-actions" },
        el("a", { class: "quiet", href: target(alert), "aria-label": `Show: ${alert.tenant}` }, "Show"),
        onSeen === null ? null : el("button", { type: "button", class: "quiet", "aria-label": `Mark as seen: ${alert.tenant}`, on: { click: () => onSeen(alert.key) } }, "Mark seen")));
  }

  /** @param {import("./alerts.js").Alert} alert @param {number} now by the server's clock */
  fill(alert, now) {
    setText(this.title, alertTitle(alert));
    setText(this.when, whenWords(alert, now));
    setAttr(this.when, "datetime", new Date(alert.last).toISOString());
    this.element.classList.toggle("over", alert.over !== null);
    setText(this.message, cut(ownWords(alert.message, alert.errors), MAX_LINE));
    setText(this.todo, alert.over === null ? advice(alert.code) : "");
    const said = JSON.stringify(alert.errors);
    if (said === this.said) return;
    this.said = said;
    const list = diagnosticList(alert.errors);
    this.errors.replaceChildren(...(list === null ? [] : [list]));
  }
}
