// One line of the list of decisions; it takes whatever entry it is given.

import { el, foreign, glyph, setText } from "./dom.js";
import { verdictOf } from "./feed.js";
import { clock, cut, micros, plural } from "./format.js";

/** A row shows one line, and a reason may have thousands. */
const MAX_REASON = 300;

export class Row {
  /** @param {(entry: import("./feed.js").Decision|import("./feed.js").Failure) => void} open */
  constructor(open) {
    /** @type {import("./feed.js").Entry|null} */
    this.entry = null;
    this.time = el("time", { class: "time" });
    this.verdict = el("span", { class: "verdict" });
    this.tenant = foreign("", { class: "tenant" });
    this.reason = foreign("", { class: "reason" });
    this.redacted = el("span", { class: "redacted" });
    this.took = el("span", { class: "took" });
    this.button = el("button", { type: "button", class: "decision", tabindex: "-1" },
      this.time, this.verdict, this.tenant, el("span", { class: "words" }, this.reason, this.redacted), this.took);
    this.gap = el("p", { class: "gap" });
    this.element = el("li", {}, this.button, this.gap);
    // The row may be another's by the time the button is let go.
    let pressed = /** @type {import("./feed.js").Entry|null} */ (null);
    this.button.addEventListener("pointerdown", () => {
      pressed = this.entry;
    });
    this.button.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const entry = event.detail > 0 && pressed !== null ? pressed : this.entry;
      if (entry !== null && entry.kind !== "gap") open(entry);
    });
  }

  /** @param {import("./feed.js").Entry} entry */
  fill(entry) {
    if (this.entry === entry && entry.kind !== "gap") return;
    this.entry = entry;
    this.button.hidden = entry.kind === "gap";
    this.gap.hidden = entry.kind !== "gap";
    if (entry.kind === "gap") {
      this.gap.className = `gap ${entry.why}`;
      setText(this.gap, gapWords(entry));
      return;
    }
    const verdict = verdictOf(entry);
    setText(this.time, clock(entry.at, true));
    if (this.verdict.textContent !== verdict) {
      this.verdict.className = `verdict ${verdict}`;
      this.verdict.replaceChildren(glyph(verdict), verdict);
    }
    setText(this.tenant, entry.tenant);
    if (entry.kind === "error") {
      setText(this.reason, cut(`${entry.code}: ${entry.message}`, MAX_REASON));
      this.reason.classList.remove("none");
      setText(this.redacted, "");
      setText(this.took, entry.status > 0 ? String(entry.status) : "");
      return;
    }
    setText(this.reason, entry.reason === null ? "no reason" : cut(entry.reason, MAX_REASON));
    this.reason.classList.toggle("none", entry.reason === null);
    setText(this.redacted, entry.redactions > 0 ? `${entry.redactions} redacted` : "");
    setText(this.took, micros(entry.micros));
  }
}

/** @param {import("./feed.js").Gap} gap */
export function gapWords(gap) {
  switch (gap.why) {
    case "lagged":
      return `Gap: this page was too slow and missed ${gap.missed === null ? "some events" : plural(gap.missed, "event")}`;
    case "sequence":
      return `Gap: this page missed ${plural(gap.missed ?? 0, "decision")} of ${gap.tenant}`;
    case "restarted":
      return "The supervisor was restarted; sequences start again";
    case "opened":
      return "This page was opened here. Below is what the supervisor remembers: the last decisions of each tenant";
    default:
      return gap.missed ? `Reconnected. This page missed ${plural(gap.missed, "decision")}` : "Reconnected";
  }
}
