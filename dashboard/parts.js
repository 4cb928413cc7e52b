// Pieces that several views share.

import { Chart } from "./chart.js";
import { copyButton, el, setAttr, setText } from "./dom.js";
import { ago, count, micros, percent, plural, rate } from "./format.js";

/** A figure that stands out, with words below it. */
export class Figure {
  /** @param {string} name @param {{span?: string, href?: string}} [of] `span`: the time that it is of */
  constructor(name, { span = "", href } = {}) {
    this.value = el("span", { class: "figure-value" });
    this.note = el("span", { class: "figure-note" });
    this.element = el("div", { class: "figure" },
      el("dt", {}, href === undefined ? name : el("a", { href }, name), span === "" ? null : el("span", { class: "span" }, span)), el("dd", {}, this.value, this.note));
  }

  /** @param {string} value @param {string} note @param {string} [tone] */
  set(value, note, tone = "") {
    setText(this.value, value);
    setText(this.note, note);
    setAttr(this.element, "data-tone", tone === "" ? null : tone);
  }
}

/** The figures that a host and a tenant have in common. */
export class Traffic {
  constructor() {
    this.rate = new Figure("Decisions per second", { span: "last 5 s" });
    this.deny = new Figure("Denied", { span: "last minute" });
    this.errors = new Figure("Errors per minute", { span: "last minute" });
    this.p99 = new Figure("Evaluation, p99", { span: "last minute" });
    this.all = [this.rate, this.deny, this.errors, this.p99];
  }

  /** @param {import("./store.js").Figures} figures @param {boolean} streaming */
  set(figures, streaming) {
    const { allowRate, denyRate, decided, denyShare, errors } = figures;
    this.rate.set(rate(figures.rate),
      allowRate !== null ? `${rate(allowRate)} allowed, ${rate(denyRate)} denied` : streaming ? "counting" : figures.rate === null ? "not connected" : "from the totals");
    this.deny.set(percent(denyShare), decided === 0 ? "no decisions" : `of ${plural(decided, "decision")}`);
    const requests = decided + errors;
    this.errors.set(count(errors), errors === 0 ? "no failed requests" : `${percent(errors / requests)} of ${plural(requests, "request")}`, errors > 0 ? "bad" : "");
    this.p99.set(micros(figures.p99), figures.p50 === null ? "no evaluations" : `p50 ${micros(figures.p50)}`);
  }
}

export const rateChart = () =>
  new Chart({
    title: "Requests per second",
    stacked: true,
    lines: [
      { key: "allow", name: "allow", className: "allow" },
      { key: "deny", name: "deny", className: "deny" },
      { key: "error", name: "error", className: "error", rare: true },
      { key: "missed", name: "missed", className: "missed", rare: true },
    ],
    format: rate,
    empty: "No requests in this time",
    unknown: "No record of this time",
  });

export const evaluationChart = () =>
  new Chart({
    title: "Evaluation time",
    stacked: false,
    lines: [
      { key: "p50", name: "p50", className: "p50" },
      { key: "p99", name: "p99", className: "p99" },
    ],
    format: micros,
    empty: "No evaluations in this time",
    unknown: "No evaluation times are recorded here",
  });

/** What stands where no decision ever came: how to ask for one. @param {string} tenant */
export function askForOne(tenant) {
  const url = new URL(`../v1/data/tenants/${encodeURIComponent(tenant)}/allow`, import.meta.url).href;
  const line = `curl -s -X POST ${url} -d '{"input":{"action":"read"}}'`;
  return el("div", { class: "empty" }, el("p", {}, "No decisions yet. Ask for one:"),
    el("div", { class: "command" }, el("code", { tabindex: "0" }, line), copyButton("Copy the command", () => line)));
}

/** Evaluators that disagree. @param {any} difference of `/v1/tenants` @param {number} now */
export function differenceWords(difference, now) {
  const digest = difference.request_sha256 ? `the request whose body has the SHA-256 ${difference.request_sha256}` : "a request";
  return `The bytecode and the interpreter disagreed about ${digest}, ${ago(Date.parse(difference.at), now)}. It was answered with an error. Please report the policy and that request.`;
}

/** What is wrong with a tenant that serves, the gravest first; null: nothing is. @param {any} tenant @param {number} now @returns {string|null} */
export function troubleOf(tenant, now) {
  if (tenant.stale) return `An older revision serves: ${String(tenant.stale.reason ?? "")}`;
  if (tenant.last_error) return String(tenant.last_error.message ?? "");
  if (tenant.last_difference) return differenceWords(tenant.last_difference, now);
  const warning = tenant.warnings?.[0];
  return warning === undefined ? null : String(warning.message ?? "");
}
