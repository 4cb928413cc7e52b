// One decision or error, opened: all that is known of it, why it was made, and its whole input.

import { diagnosticList } from "./diagnostics.js";
import { copyButton, el, foreign, glyph } from "./dom.js";
import { advice } from "./errors.js";
import { verdictOf } from "./feed.js";
import { clock, micros, plural } from "./format.js";
import { pretty, valueAt, visible } from "./json.js";
import { Why } from "./why.js";

/** Pieces of an input that get a colour. An element each, so a huge input is plain from there on. */
const MAX_COLOURED = 10_000;
/** Pixels above an explanation that is scrolled to. */
const ROOM = 12;
/** Masked paths that are named. */
const MAX_MASKED = 20;
/** Why an input is missing. @type {Record<string, string>} */
const OMITTED = {
  too_large: "The input was too large to be sent to this page.",
  not_json: "The input was no valid JSON.",
  mask: "The policy's mask hides the input.",
  mask_failed: "The input is not shown, because the policy's mask failed. The supervisor's log says why.",
  operator: "The operator leaves inputs out (stream_inputs).",
};
/** The policy was not asked about these. */
const NOT_ASKED = new Set(["tenant_mismatch", "invalid_parameter", "request_too_large", "request_timeout"]);

/** @typedef {import("./feed.js").Decision|import("./feed.js").Failure} Shown */

/** The address of a decision, for somebody else. @param {string} eventId */
export function addressOf(eventId) {
  return `#/decisions/${encodeURIComponent(eventId)}`;
}

/** @param {string} name @param {...(Node|string|null)} value */
function fact(name, ...value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
}

/** @param {any} data of a message; @returns {string} empty where the input is there */
function omittedWords({ input_omitted: why }) {
  if (why === undefined || why === null) return "";
  return Object.hasOwn(OMITTED, why) ? OMITTED[why] : `The input was left out: ${String(why)}.`;
}

/** What the policy's mask did. @param {any} data of a message; @returns {string} empty where it did nothing */
function maskedWords({ erased, masked }) {
  const paths = (/** @type {unknown} */ list) => (Array.isArray(list) ? list.map(String) : []);
  const all = [...paths(erased).map((path) => `${path} (removed)`), ...paths(masked).map((path) => `${path} (replaced)`)];
  if (all.length === 0) return "";
  const more = all.length - MAX_MASKED;
  return `Masked by the policy: ${all.slice(0, MAX_MASKED).join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
}

export class Inspector {
  /** @param {() => void} onClose */
  constructor(onClose) {
    this.onClose = onClose;
    /** @type {Shown|null} */
    this.shown = null;
    /** @type {Why|null} */
    this.why = null;
    this.element = el("aside", { class: "inspector", "aria-label": "Decision", "data-walk": true, hidden: true });
  }

  /** @param {Shown} entry @param {boolean} focus whether it takes the focus */
  show(entry, focus) {
    this.shown = entry;
    this.why?.close();
    const verdict = verdictOf(entry);
    /** @type {any} */
    let data = {};
    try {
      data = JSON.parse(entry.raw).data;
    } catch {
      // It was parsed when it came.
    }
    const heading = el("h2", { tabindex: "-1" }, { allow: "Allowed", deny: "Denied", error: "No decision" }[verdict]);
    const close = el("button", { type: "button", class: "quiet", "aria-label": "Close the decision", on: { click: () => this.close() } }, "Close");
    const link = copyButton("Copy the address of this decision", () => new URL(addressOf(entry.eventId), location.href).href, "Copy link");
    const why = new Why(this.question(entry, data), () => this.reveal(why.element));
    this.why = why;
    this.element.replaceChildren(
      el("header", {},
        el("span", { class: `verdict ${verdict}` }, glyph(verdict), heading),
        el("a", { class: "of", href: `#/tenant/${encodeURIComponent(entry.tenant)}` }, foreign(entry.tenant)),
        el("span", { class: "actions" }, link, close)),
      ...(entry.kind === "error" ? this.failure(entry, data) : this.decision(entry)),
      this.why.element,
      entry.kind === "error" ? this.failureFacts(entry, data) : this.decisionFacts(entry, data),
      ...this.input(entry, data),
    );
    this.element.hidden = false;
    this.element.scrollTop = 0;
    if (focus) heading.focus({ preventScroll: true });
  }

  /** What the policy is asked again. @param {Shown} entry @param {any} data @returns {import("./why.js").Question} */
  question(entry, data) {
    const omitted = omittedWords(data);
    const isAsked = entry.kind === "decision" || !NOT_ASKED.has(entry.code);
    const input = omitted === "" && isAsked ? valueAt(entry.raw, ["data", "input"]) : null;
    const instead = !isAsked ? "The policy was not asked about this request, so there is nothing to explain."
      : `${omitted === "" ? "The request has no input." : omitted} So the policy cannot be asked about it again.`;
    return { tenant: entry.tenant, input, instead, revision: String(data.revision ?? ""), isMasked: maskedWords(data) !== "", allow: entry.kind === "decision" ? entry.allow : null };
  }

  /** Scrolls to an explanation whose beginning is not in view. @param {HTMLElement} section */
  reveal(section) {
    const top = section.getBoundingClientRect().top - this.element.getBoundingClientRect().top;
    if (top < 0 || top > this.element.clientHeight / 2) this.element.scrollTop += top - ROOM;
  }

  /** @returns {boolean} whether there is a decision that can be explained */
  explain() {
    return this.why?.ask() ?? false;
  }

  /** @param {import("./feed.js").Decision} entry @returns {Node[]} */
  decision(entry) {
    return [
      entry.reason === null
        ? el("p", { class: "reason none" }, "The policy gave no reason.")
        : el("p", { class: "reason", dir: "auto", tabindex: "0", "aria-label": "Reason" }, visible(entry.reason)),
    ];
  }

  /** @param {import("./feed.js").Decision} entry @param {any} data */
  decisionFacts(entry, data) {
    const redact = Array.isArray(data.decision?.redact) ? data.decision.redact.map(String) : [];
    const revision = String(data.revision ?? "");
    return el("dl", { class: "facts" },
      fact("Time", el("time", { datetime: String(data.timestamp ?? "") }, clock(entry.at, true))),
      fact("Evaluation", micros(entry.micros)),
      fact("Sequence", entry.sequence === null ? "unknown" : String(entry.sequence)),
      fact("Redactions", redact.length === 0 ? "none" : el("ul", { class: "chips" }, ...redact.map((/** @type {string} */ path) => el("li", { class: "mono" }, foreign(visible(path)))))),
      fact("Decision id", el("span", { class: "mono id" }, entry.eventId), copyButton("Copy the decision id", () => entry.eventId)),
      fact("Revision", el("span", { class: "mono id", title: revision }, revision), copyButton("Copy the revision", () => revision)));
  }

  /** @param {import("./feed.js").Failure} entry @param {any} data @returns {(Node|string)[]} */
  failure(entry, data) {
    const todo = advice(entry.code);
    return [
      el("p", { class: "reason", dir: "auto", tabindex: "0", "aria-label": "Message" }, visible(entry.message)),
      diagnosticList(data.errors) ?? "",
      todo === "" ? "" : el("p", { class: "todo" }, todo),
    ];
  }

  /** @param {import("./feed.js").Failure} entry @param {any} data */
  failureFacts(entry, data) {
    return el("dl", { class: "facts" },
      fact("Time", el("time", { datetime: String(data.timestamp ?? "") }, clock(entry.at, true))),
      fact("Code", el("span", { class: "mono" }, entry.code)),
      fact("Status", entry.status > 0 ? String(entry.status) : "unknown"),
      fact("Decision id", el("span", { class: "mono id" }, entry.eventId), copyButton("Copy the decision id", () => entry.eventId)));
  }

  /** @param {Shown} entry @param {any} data @returns {Node[]} */
  input(entry, data) {
    const heading = el("h3", {}, "Input");
    const omitted = omittedWords(data);
    const masked = maskedWords(data);
    const note = masked === "" ? [] : [el("p", { class: "masked dim" }, foreign(masked))];
    if (omitted !== "") return [el("div", { class: "input-head" }, heading), el("p", { class: "omitted" }, omitted), ...note];
    const text = valueAt(entry.raw, ["data", "input"]) ?? "null";
    const pieces = pretty(text);
    const block = el("pre", { class: "json", tabindex: "0", "aria-label": "Input", dir: "ltr" });
    for (const piece of pieces.slice(0, MAX_COLOURED)) {
      block.append(piece.kind === "" ? piece.text : el("span", { class: piece.kind }, piece.text));
    }
    if (pieces.length > MAX_COLOURED) block.append(pieces.slice(MAX_COLOURED).map((piece) => piece.text).join(""));
    return [
      el("div", { class: "input-head" }, heading, el("span", { class: "dim" }, plural(text.length, "character")),
        copyButton("Copy the input", () => pieces.map((piece) => piece.text).join(""))),
      ...note,
      block,
    ];
  }

  close() {
    if (this.shown === null) return false;
    this.shown = null;
    this.destroy();
    this.element.hidden = true;
    this.element.replaceChildren();
    this.onClose();
    return true;
  }

  /** Nobody waits for an explanation any more. */
  destroy() {
    this.why?.close();
    this.why = null;
  }
}
