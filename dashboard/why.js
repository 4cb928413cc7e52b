// Why a decision was made as it was: asks the supervisor to evaluate the recorded input again, and
// shows what held and what did not. The answer is about the revision that serves now.

import { el, foreign, setAttr, setText } from "./dom.js";
import { visible } from "./json.js";
import { answerOf, refusalOf, verdictWords } from "./why-answer.js";
import { Explanation } from "./why-view.js";

/** The supervisor gives a worker its load timeout (10 s) and 5 s, and 2 s to wait for its turn. */
const TIMEOUT_MILLIS = 30_000;
const TIMED_OUT = "timed out";

/**
 * @typedef {object} Question
 * @property {string} tenant
 * @property {string|null} input its text as it was recorded; null: it cannot be asked about
 * @property {string} instead what is said where it cannot be asked about
 * @property {string} revision that decided; empty where it is unknown
 * @property {boolean|null} allow what was decided; null where it was an error
 * @property {boolean} isMasked whether the policy's mask has changed the input, so that the answer may be another one
 *
 * @typedef {{kind: "idle"}
 *   | {kind: "asking", controller: AbortController}
 *   | {kind: "told", answer: import("./why-answer.js").Answer}
 *   | {kind: "refused", words: string, said: string}
 *   | {kind: "gone"}} State
 */

export class Why {
  /** @param {Question} question @param {() => void} onTold when there is an explanation to be seen */
  constructor(question, onTold) {
    this.question = question;
    this.onTold = onTold;
    /** @type {State} */
    this.state = { kind: "idle" };
    this.heading = el("h3", { tabindex: "-1" }, "Why");
    this.status = el("p", { class: "dim why-status", role: "status" });
    this.button = el("button", { type: "button", class: "why-button", on: { click: () => this.press() } });
    this.body = el("div", { class: "why-body" });
    this.element = el("section", { class: "why", "aria-label": "Why" },
      el("div", { class: "why-bar" }, this.heading, this.status, question.input === null ? null : this.button), this.body);
    if (question.input === null) this.body.append(el("p", { class: "omitted" }, question.instead));
    else this.draw();
  }

  press() {
    if (this.state.kind === "asking") this.cancel();
    else if (this.state.kind === "told") this.set({ kind: "idle" });
    else this.ask();
  }

  /** @returns {boolean} whether there is something to ask about */
  ask() {
    if (this.question.input === null || this.state.kind === "gone") return false;
    if (this.state.kind === "asking" || this.state.kind === "told") return true;
    const controller = new AbortController();
    this.set({ kind: "asking", controller });
    explain(this.question, controller).then((state) => {
      // A late answer is for nobody: another question was asked, or another decision is open.
      if (this.state.kind !== "asking" || this.state.controller !== controller) return;
      this.set(state);
      if (state.kind === "told") this.onTold();
    });
    return true;
  }

  cancel() {
    if (this.state.kind !== "asking") return;
    this.state.controller.abort();
    this.set({ kind: "idle" });
  }

  /** Another decision is shown in its place. */
  close() {
    if (this.state.kind === "asking") this.state.controller.abort();
    this.state = { kind: "gone" };
  }

  /** @param {State} state */
  set(state) {
    this.state = state;
    const hadFocus = this.body.contains(document.activeElement);
    this.draw();
    if (hadFocus) this.heading.focus({ preventScroll: true });
  }

  draw() {
    const { state, body, button, element, status } = this;
    setAttr(element, "data-state", state.kind);
    setAttr(element, "aria-busy", state.kind === "asking" ? "true" : null);
    const name = (/** @type {string} */ text, /** @type {string} */ label) => {
      setText(button, text);
      setAttr(button, "aria-label", label);
    };
    body.replaceChildren();
    switch (state.kind) {
      case "asking":
        setText(status, "Evaluating the input again…");
        name("Cancel", "Cancel the explanation");
        break;
      case "told": {
        const { answer } = state;
        setText(status, visible(`Explained: ${answer.document} ${verdictWords(answer)}`));
        name("Hide", "Hide the explanation");
        body.append(new Explanation(answer, this.question).element);
        break;
      }
      case "refused":
        setText(status, "No explanation");
        name("Try again", "Try again to explain");
        body.append(el("p", { class: "omitted" }, state.words, state.said === "" ? null : " ", state.said === "" ? null : foreign(visible(state.said))));
        break;
      default:
        setText(status, this.question.isMasked
          ? "Evaluates the masked input again: without what the mask hides, the answer may be another one."
          : "Evaluates the input again, and shows what held and what failed.");
        name("Why?", "Why? Explain this decision");
    }
  }
}

/** @param {Question} question @param {AbortController} controller @returns {Promise<State>} */
async function explain({ tenant, input }, controller) {
  const url = new URL(`../v1/tenants/${encodeURIComponent(tenant)}/why`, import.meta.url);
  const late = setTimeout(() => controller.abort(TIMED_OUT), TIMEOUT_MILLIS);
  try {
    const { signal } = controller;
    // The text as it was recorded, so that no number is rounded.
    const body = `{"input":${input}}`;
    const response = await fetch(url, { method: "POST", body, signal, cache: "no-store", headers: { "content-type": "application/json" } });
    const text = await response.text();
    /** @type {any} */
    let json = null;
    try {
      json = JSON.parse(text);
    } catch {
      // A gateway's error may be a page.
    }
    if (!response.ok) return { kind: "refused", ...refusalOf(response.status, json) };
    const answer = answerOf(json);
    if (answer !== null) return { kind: "told", answer };
    return { kind: "refused", words: "The answer is no explanation that this page can read. The supervisor may be of another version by now: load the page again.", said: "" };
  } catch {
    const words = controller.signal.reason === TIMED_OUT
      ? `No answer came within ${TIMEOUT_MILLIS / 1_000} seconds. Try again when the host is less busy.`
      : "The supervisor cannot be reached. Try again once it is connected.";
    return { kind: "refused", words, said: "" };
  } finally {
    clearTimeout(late);
  }
}
