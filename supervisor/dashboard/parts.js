// Pieces that several views share.

import { Chart } from "./chart.js";
import { copyButton, el, foreign, setAttr, setText } from "./dom.js";
import { ago, cut, micros, place, plural, rate } from "./format.js";

/** A message may have hundreds of characters, and it is one of many. */
const MAX_LINE = 300;

/** A figure that stands out, with words below it. */
export class Figure {
  /** @param {string} name @param {string} [href] */
  constructor(name, href) {
    this.value = el("span", { class: "figure-value" });
    this.note = el("span", { class: "figure-note" });
    this.element = el("div", { class: "figure" },
      el("dt", {}, href === undefined ? name : el("a", { href }, name)), el("dd", {}, this.value, this.note));
  }

  /** @param {string} value @param {string} note @param {string} [tone] */
  set(value, note, tone = "") {
    setText(this.value, value);
    setText(this.note, note);
    setAttr(this.element, "data-tone", tone === "" ? null : tone);
  }
}

export const rateChart = () =>
  new Chart({
    title: "Decisions per second",
    stacked: true,
    lines: [
      { key: "allow", name: "allow", className: "allow" },
      { key: "deny", name: "deny", className: "deny" },
      { key: "missed", name: "missed", className: "missed", rare: true },
    ],
    format: rate,
    empty: "Nothing known yet",
  });

export const evaluationChart = () =>
  new Chart({
    title: "Evaluation",
    stacked: false,
    lines: [
      { key: "p50", name: "p50", className: "p50" },
      { key: "p99", name: "p99", className: "p99" },
    ],
    format: micros,
    empty: "No decisions in this time",
  });

/** What stands where no decision ever came: how to ask for one. @param {string} tenant */
export function askForOne(tenant) {
  const url = new URL(`../v1/data/tenants/${encodeURIComponent(tenant)}/allow`, import.meta.url).href;
  const line = `curl -s -X POST ${url} -d '{"input":{"action":"read"}}'`;
  return el("div", { class: "empty" }, el("p", {}, "No decisions yet. Ask one:"),
    el("div", { class: "command" }, el("code", { tabindex: "0" }, line), copyButton("Copy the command", () => line)));
}

/** Errors or warnings of a bundle, each with its place, its line and what to do. @param {any[]|undefined} errors */
export function errorList(errors) {
  if (!Array.isArray(errors) || errors.length === 0) return null;
  return el("ul", { class: "errors" }, ...errors.map((error) => {
    const where = place(error?.location);
    return el("li", {},
      where === "" ? null : foreign(where, { class: "mono place" }),
      error?.code ? el("span", { class: "mono code" }, String(error.code)) : null,
      foreign(String(error?.message ?? ""), { class: "error-words" }),
      error?.line ? el("code", { class: "line" }, foreign(cut(String(error.line), MAX_LINE))) : null,
      error?.help ? foreign(String(error.help), { class: "help dim" }) : null);
  }));
}

/** Evaluators that disagree. @param {any} difference of `/v1/tenants` @param {number} now */
export function differenceWords(difference, now) {
  const digest = difference.request_sha256 ? `the request whose body has the SHA-256 ${difference.request_sha256}` : "a request";
  return `The bytecode and the interpreter disagreed about ${digest}, ${ago(Date.parse(difference.at), now)}. It was answered with an error. Please report the policy and that request.`;
}

/** What is wrong with a tenant that serves, the gravest first; null: nothing is. @param {any} tenant @param {number} now @returns {string|null} */
export function troubleOf(tenant, now) {
  if (tenant.last_error) return String(tenant.last_error.message ?? "");
  if (tenant.last_difference) return differenceWords(tenant.last_difference, now);
  const warning = tenant.warnings?.[0];
  return warning === undefined ? null : String(warning.message ?? "");
}

/** A message that only says what its errors say is left out. @param {string} message @param {any[]|undefined} errors */
export function ownWords(message, errors) {
  const said = Array.isArray(errors) && errors.some((error) => error?.message && message.includes(error.message));
  return said ? "" : message;
}

/** @type {Record<string, {one: string, many: string, glyph: string}>} */
const TITLES = {
  quarantined: { one: "quarantined", many: "times quarantined", glyph: "quarantined" },
  rejected: { one: "bundle rejected", many: "bundles rejected", glyph: "rejected" },
  crashed: { one: "worker crashed", many: "crashes of its worker", glyph: "backoff" },
  failed: { one: "error", many: "errors", glyph: "backoff" },
  quota: { one: "quota warning", many: "quota warnings", glyph: "backoff" },
  denial: { one: "1 denial", many: "denials", glyph: "deny" },
};

/** @param {import("./alerts.js").Alert} alert */
export function alertTitle(alert) {
  const words = TITLES[alert.kind];
  return alert.count === 1 ? words.one : plural(alert.count, words.one, words.many);
}

/** @param {import("./alerts.js").Alert} alert */
export function alertGlyph(alert) {
  return TITLES[alert.kind].glyph;
}

/** One alert. It is changed in place, so that a button under the pointer stays there. */
export class AlertItem {
  /** @param {import("./alerts.js").Alert} alert @param {Node} mark @param {((key: string) => void)|null} onSeen */
  constructor(alert, mark, onSeen) {
    this.tenant = el("a", { href: `#/tenant/${encodeURIComponent(alert.tenant)}` }, foreign(alert.tenant));
    this.title = el("span", { class: "alert-title" });
    this.when = el("time", { class: "dim" });
    this.message = foreign("", { class: "alert-message" });
    this.errors = el("div");
    this.said = "";
    const denials = `#/decisions?tenant=${encodeURIComponent(alert.tenant)}&only=deny`;
    this.element = el("li", { class: `alert ${alert.kind}` },
      el("span", { class: "alert-mark" }, mark),
      el("div", { class: "alert-body" },
        el("p", { class: "alert-line" }, this.tenant, ": ", this.title, this.when),
        this.message, this.errors),
      el("div", { class: "alert-actions" },
        alert.kind === "denial" ? el("a", { class: "quiet", href: denials }, "Show") : null,
        onSeen === null ? null : el("button", { type: "button", class: "quiet", "aria-label": `Mark as seen: ${alert.tenant}`, on: { click: () => onSeen(alert.key) } }, "Mark seen")));
  }

  /** @param {import("./alerts.js").Alert} alert @param {number} now */
  fill(alert, now) {
    setText(this.title, alertTitle(alert));
    setText(this.when, ago(alert.last, now));
    setAttr(this.when, "datetime", new Date(alert.last).toISOString());
    setText(this.message, cut(ownWords(alert.message, alert.errors), MAX_LINE));
    const said = JSON.stringify(alert.errors);
    if (said === this.said) return;
    this.said = said;
    const list = errorList(alert.errors);
    this.errors.replaceChildren(...(list === null ? [] : [list]));
  }
}
