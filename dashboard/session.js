// Signing in: who looks at this page, and the form for somebody who is not known yet. The token goes
// to the server once, in a header. The browser keeps a cookie that no script can read.

import { el, foreign } from "./dom.js";
import { visible } from "./json.js";

const TIMEOUT_MILLIS = 20_000;
/** Why the form is shown, after the page was loaded again. */
const REASON = "enforcer.signed-out";

/** Beside this file, below the page's own address. */
const address = () => new URL("session", import.meta.url);

/**
 * @typedef {{kind: "open"}
 *   | {kind: "known", name: string}
 *   | {kind: "limited", name: string, tenants: string[], roles: string[]}
 *   | {kind: "unknown", words: string}
 *   | {kind: "unreachable", words: string}} Answer
 */

/** @param {"GET"|"POST"|"DELETE"} method @param {string} [token] @returns {Promise<Answer>} */
async function ask(method, token) {
  /** @type {Record<string, string>} */
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(address(), { method, headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MILLIS) });
  } catch {
    return { kind: "unreachable", words: "The supervisor cannot be reached." };
  }
  // A supervisor of before, which needed no credential.
  if (response.status === 404) return { kind: "open" };
  const body = await response.json().catch(() => null);
  if (response.ok) return answerOf(body?.result);
  const said = typeof body?.message === "string" ? body.message : `the status was ${response.status}`;
  return { kind: response.status === 401 ? "unknown" : "unreachable", words: `${said[0].toUpperCase()}${said.slice(1)}.` };
}

/** @param {any} result @returns {Answer} */
export function answerOf(result) {
  if (result?.is_open === true) return { kind: "open" };
  const name = String(result?.name ?? "");
  if (result?.is_for_all === true) return { kind: "known", name };
  const list = (/** @type {any} */ value) => (Array.isArray(value) ? value.map(String) : []);
  return { kind: "limited", name, tenants: list(result?.tenants), roles: list(result?.roles) };
}

/** The session ended while the page was open: what it shows is for nobody any more. @param {string} words */
function leave(words) {
  try {
    sessionStorage.setItem(REASON, words);
  } catch {
    // Then the form does not say why it is there.
  }
  location.reload();
}

/** @returns {string} */
function reason() {
  try {
    const words = sessionStorage.getItem(REASON) ?? "";
    sessionStorage.removeItem(REASON);
    return words;
  } catch {
    return "";
  }
}

/** An answer was refused for want of a session. */
export function sessionEnded() {
  leave("The session has ended. Sign in again.");
}

/** Ends the session. */
async function signOut() {
  await ask("DELETE");
  // Where that failed, the page says why, once it is loaded again.
  leave("");
}

/**
 * Shows the form until somebody is signed in who may see this page, and then calls `enter`.
 * @param {{main: HTMLElement, pages: HTMLElement, out: HTMLElement}} parts @param {() => void} enter
 */
export async function signIn({ main, pages, out }, enter) {
  const first = await ask("GET");
  const why = reason();
  out.addEventListener("click", signOut);
  const form = new Form();

  /** @param {Answer} answer @returns {boolean} whether somebody is in */
  const take = (answer) => {
    switch (answer.kind) {
      case "open":
        break;
      case "known":
        out.hidden = false;
        out.title = `Signed in as ${visible(answer.name)}`;
        break;
      case "limited":
        out.hidden = false;
        main.replaceChildren(limited(answer));
        return false;
      default:
        form.say(answer.words, answer.kind === "unreachable");
        return false;
    }
    pages.hidden = false;
    main.replaceChildren();
    enter();
    return true;
  };
  if (first.kind === "unknown") form.say(why, false);
  else if (first.kind !== "unreachable") {
    if (take(first) || first.kind === "limited") return;
  } else form.say(first.words, true);
  form.onToken = async (token) => take(await ask(token === "" ? "GET" : "POST", token === "" ? undefined : token));
  main.replaceChildren(form.element);
  form.field.focus();
}

/** @param {{name: string, tenants: string[], roles: string[]}} answer */
function limited({ name, tenants, roles }) {
  return el("section", { class: "sign-in" },
    el("h1", { tabindex: "-1" }, "Not for all tenants"),
    el("p", {}, "You are signed in as ", foreign(visible(name)), `, with ${roles.length === 1 ? "the role" : "the roles"} ${roles.join(", ")}`,
      tenants.length === 0 ? "." : ` for ${tenants.slice(0, 20).join(", ")}${tenants.length > 20 ? " and others" : ""}.`),
    el("p", {}, "This page shows all tenants, so it needs a token with the role operate for all of them. Sign out to use another token."));
}

class Form {
  constructor() {
    /** @type {(token: string) => Promise<boolean>} */
    this.onToken = async () => false;
    this.field = el("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true, maxlength: 16384 });
    this.error = el("p", { class: "sign-in-error", role: "alert" });
    this.button = el("button", { type: "submit" }, "Sign in");
    this.element = el("form", { class: "sign-in", "aria-labelledby": "sign-in-title", on: { submit: (/** @type {Event} */ event) => this.submit(event) } },
      el("h1", { id: "sign-in-title", tabindex: "-1" }, "Sign in"),
      el("p", {}, "This enforcer asks for a credential. Enter a token with the role operate for all tenants."),
      el("label", { for: "token" }, "Token"),
      this.field,
      this.error,
      this.button);
  }

  /** @param {string} words @param {boolean} again whether it may help to try the same again */
  say(words, again) {
    this.error.textContent = words === "" ? "" : visible(again ? `${words} Try again.` : words);
  }

  /** @param {Event} event */
  async submit(event) {
    event.preventDefault();
    if (this.button.disabled) return;
    this.button.disabled = true;
    this.say("", false);
    const token = this.field.value.trim();
    const isIn = await this.onToken(token);
    this.button.disabled = false;
    if (isIn) this.field.value = "";
    else if (this.element.isConnected) this.field.select();
  }
}
