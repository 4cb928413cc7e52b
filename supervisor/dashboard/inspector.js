// One decision, opened: all that is known of it, and its whole input.

import { copyButton, el, foreign, glyph } from "./dom.js";
import { clock, micros, plural } from "./format.js";
import { pretty, valueAt, visible } from "./json.js";

/** Pieces of an input that get a colour. An element each, so a huge input is plain from there on. */
const MAX_COLOURED = 10_000;

export class Inspector {
  /** @param {() => void} onClose */
  constructor(onClose) {
    this.onClose = onClose;
    /** @type {import("./feed.js").Decision|null} */
    this.shown = null;
    this.element = el("aside", { class: "inspector", "aria-label": "Decision", hidden: true });
  }

  /** @param {import("./feed.js").Decision} entry */
  show(entry) {
    this.shown = entry;
    const verdict = entry.allow ? "allow" : "deny";
    /** @type {any} */
    let data = {};
    try {
      data = JSON.parse(entry.raw).data;
    } catch {
      // It was parsed when it came.
    }
    const heading = el("h2", { tabindex: "-1" }, entry.allow ? "Allowed" : "Denied");
    const close = el("button", { type: "button", class: "quiet", "aria-label": "Close the decision", on: { click: () => this.close() } }, "Close");
    const redact = Array.isArray(data.decision?.redact) ? data.decision.redact.map(String) : [];
    const revision = String(data.revision ?? "");
    const fact = (/** @type {string} */ name, /** @type {(Node|string|null)[]} */ ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
    this.element.replaceChildren(
      el("header", {},
        el("span", { class: `verdict ${verdict}` }, glyph(verdict), heading),
        el("a", { class: "of", href: `#/tenant/${encodeURIComponent(entry.tenant)}` }, foreign(entry.tenant)),
        close),
      entry.reason === null
        ? el("p", { class: "reason none" }, "The policy gave no reason.")
        : el("p", { class: "reason", dir: "auto", tabindex: "0", "aria-label": "Reason" }, visible(entry.reason)),
      el("dl", { class: "facts" },
        fact("Time", el("time", { datetime: String(data.timestamp ?? "") }, clock(entry.at, true))),
        fact("Evaluation", micros(entry.micros)),
        fact("Sequence", entry.sequence === null ? "none" : String(entry.sequence)),
        fact("Redactions", redact.length === 0 ? "none" : el("ul", { class: "chips" }, ...redact.map((path) => el("li", { class: "mono" }, foreign(visible(path)))))),
        fact("Decision id", el("span", { class: "mono id" }, entry.eventId), copyButton("Copy the decision id", () => entry.eventId)),
        fact("Revision", el("span", { class: "mono id", title: revision }, revision), copyButton("Copy the revision", () => revision))),
      ...this.input(entry, data),
    );
    this.element.hidden = false;
    this.element.scrollTop = 0;
    heading.focus({ preventScroll: true });
  }

  /** @param {import("./feed.js").Decision} entry @param {any} data @returns {Node[]} */
  input(entry, data) {
    const heading = el("h3", {}, "Input");
    if (data.input_omitted !== undefined) {
      const why = data.input_omitted === "too_large" ? "The input was too large to stream." : `The input was left out: ${String(data.input_omitted)}`;
      return [el("div", { class: "input-head" }, heading), el("p", { class: "omitted" }, why)];
    }
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
      block,
    ];
  }

  close() {
    if (this.shown === null) return false;
    this.shown = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.onClose();
    return true;
  }
}
