// What is wrong with one tenant now: what it is, since when, and what to do about it.

import { diagnosticList, ownWords } from "./diagnostics.js";
import { el, foreign, setText } from "./dom.js";
import { advice } from "./errors.js";
import { ago, clock, count, duration, NONE, plural, shortRevision } from "./format.js";
import { addressOf } from "./inspector.js";
import { differenceWords } from "./parts.js";

/**
 * @typedef {object} Problem
 * @property {string} key
 * @property {"bad"|"warn"} tone
 * @property {string} title
 * @property {(now: number) => string} when changes as time goes on
 * @property {string} message
 * @property {any[]} errors diagnostics
 * @property {[string, string][]} facts
 * @property {string} [decision] the id of one that shows it
 */

/** @param {any} text @returns {number} */
const time = (text) => Date.parse(text) || 0;

/** @param {any} q of `/v1/tenants` @param {string} state @returns {Problem} */
function quarantine(q, state) {
  const until = time(q.until);
  return {
    key: "quarantine", tone: "bad",
    title: state === "rejected" ? "The bundle ended its workers" : "In quarantine",
    when: (now) => (until === 0 ? "" : until > now ? `Next attempt in ${duration(until - now)}, at ${clock(until)}` : "The next attempt is due"),
    message: "", errors: [],
    facts: [["Why", String(q.reason ?? NONE)], ["To end it now", String(q.release ?? "Change the bundle, or touch a file of it.")]],
  };
}

/** @param {any} e of `/v1/tenants` @param {string} state @returns {Problem} */
function failures(e, state) {
  const isFailing = state === "failing";
  const at = time(e.at);
  const many = Number(e.count) || 1;
  const row = Number(e.consecutive) || 0;
  const often = row > 0
    ? `${row === 1 ? "The last request" : `The last ${count(row)} requests`} got no decision; ${plural(many, "request")} failed since this revision serves.`
    : `${plural(many, "request")} failed since this revision serves. Requests after that got decisions.`;
  const todo = advice(String(e.code));
  return {
    key: "evaluation", tone: isFailing || row > 0 ? "bad" : "warn",
    title: isFailing ? "Every evaluation fails" : "Requests failed",
    when: (now) => `last one ${ago(at, now)}`,
    message: `${e.code}${e.status ? ` (${e.status})` : ""}: ${e.message ?? ""}`, errors: Array.isArray(e.errors) ? e.errors : [],
    facts: [["How often", often], ...(todo === "" ? [] : [/** @type {[string, string]} */ (["What to do", todo])])],
    decision: typeof e.decision_id === "string" ? e.decision_id : undefined,
  };
}

/** @param {any} tenant @returns {[string, string][]} */
function staleness(tenant) {
  const { stale, revision } = tenant;
  if (!stale) return [];
  const since = time(stale.since);
  return [["Serving", `Revision ${shortRevision(revision)} still serves. The directory has had another revision since ${clock(since)}.`]];
}

/** @param {any} tenant @returns {Problem[]} the gravest first */
export function problemsOf(tenant) {
  /** @type {Problem[]} */
  const found = [];
  const { quarantine: held, last_error: error, last_evaluation_error: failed, stale, last_difference: difference, warnings } = tenant;
  if (held) found.push(quarantine(held, tenant.state));
  if (failed && tenant.state === "failing") found.push(failures(failed, tenant.state));
  if (error) {
    const errors = Array.isArray(error.errors) ? error.errors : [];
    const title = errors.length > 0 || tenant.state === "rejected" ? (stale ? "The new bundle is rejected" : "The bundle is rejected") : "The worker or the bundle has an error";
    found.push({ key: "bundle", tone: "bad", title, when: (now) => ago(time(error.at), now), message: ownWords(String(error.message ?? ""), errors), errors, facts: staleness(tenant) });
  } else if (stale) {
    found.push({ key: "stale", tone: "warn", title: "An older revision serves", when: (now) => `for ${duration(now - time(stale.since))}`, message: String(stale.reason ?? ""), errors: [], facts: staleness(tenant) });
  }
  if (failed && tenant.state !== "failing") found.push(failures(failed, tenant.state));
  if (difference) found.push({ key: "difference", tone: "bad", title: "Evaluators disagree", when: () => "", message: differenceWords(difference, time(difference.at)), errors: [], facts: [] });
  if (Array.isArray(warnings) && warnings.length > 0) {
    found.push({ key: "warnings", tone: "warn", title: warnings.length === 1 ? "Warning" : `${warnings.length} warnings`, when: () => "", message: "", errors: warnings, facts: [] });
  }
  return found;
}

/** The problems of a tenant, drawn again only where one of them is another. */
export class Problems {
  constructor() {
    this.element = el("div", { class: "problems" });
    this.said = "";
    /** @type {Problem[]} */
    this.shown = [];
    /** @type {Element[]} */
    this.times = [];
  }

  /** @param {any} tenant @param {number} now by the server's clock */
  update(tenant, now) {
    const problems = problemsOf(tenant);
    const said = JSON.stringify(problems);
    if (said !== this.said) {
      this.said = said;
      this.times = problems.map(() => el("span", { class: "when dim" }));
      this.element.replaceChildren(...problems.map((problem, i) => draw(problem, this.times[i])));
    }
    this.shown = problems;
    this.element.hidden = problems.length === 0;
    for (const [i, problem] of problems.entries()) setText(this.times[i], problem.when(now));
  }
}

/** @param {Problem} problem @param {Element} when */
function draw({ key, tone, title, message, errors, facts, decision }, when) {
  return el("section", { class: `panel problem ${tone} ${key}`, "aria-label": title },
    el("header", {}, el("h2", {}, title), when,
      decision === undefined ? null : el("a", { class: "quiet", href: addressOf(decision) }, "Show the last one")),
    message === "" ? null : foreign(message, { class: "problem-message" }),
    diagnosticList(errors),
    facts.length === 0 ? null : el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, foreign(value))))));
}
