// Asks again and again, but never keeps the server or the page busy with it.

import { sessionEnded } from "./session.js";

/** Share of the time that asking may take, however large the answers are. */
const MAX_DUTY = 0.05;
/** A reason to ask at once counts for more, and there may be many in a row. */
const KICKED_DUTY = 0.3;
const KICK_MILLIS = 300;
/** A page that nobody looks at needs no fresh figures, only ones for when somebody does. */
const HIDDEN_FACTOR = 6;
const LONGEST_MILLIS = 60_000;
/** How long an answer may take. */
const TIMEOUT_MILLIS = 20_000;

export class Poll {
  /**
   * @param {number} interval milliseconds
   * @param {(signal: AbortSignal) => Promise<void>} ask
   * @param {(failed: boolean) => void} onResult
   */
  constructor(interval, ask, onResult) {
    this.interval = interval;
    this.ask = ask;
    this.onResult = onResult;
    this.took = 0;
    this.ended = 0;
    this.running = false;
    this.again = false;
    this.stopped = false;
    /** @type {number|undefined} */
    this.timer = undefined;
    this.run();
  }

  async run() {
    clearTimeout(this.timer);
    this.running = true;
    this.again = false;
    const started = performance.now();
    let failed = false;
    try {
      await this.ask(AbortSignal.timeout(TIMEOUT_MILLIS));
    } catch {
      failed = true;
    }
    this.running = false;
    if (this.stopped) return;
    this.ended = performance.now();
    this.took = this.ended - started;
    this.onResult(failed);
    if (this.again) this.kick();
    else this.schedule(Math.max(this.interval * (document.hidden ? HIDDEN_FACTOR : 1), this.took / MAX_DUTY));
  }

  /** @param {number} wait */
  schedule(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), Math.min(LONGEST_MILLIS, wait));
  }

  /** There is a reason to ask soon. */
  kick() {
    if (this.stopped) return;
    if (this.running) {
      this.again = true;
      return;
    }
    const rested = performance.now() - this.ended;
    this.schedule(Math.max(KICK_MILLIS, this.took / KICKED_DUTY - rested));
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}

/** @param {URL} url @param {AbortSignal} signal */
async function get(url, signal) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (response.status === 401) sessionEnded();
  if (!response.ok) throw new Error(String(response.status));
  return response;
}

/** @param {URL} url @param {AbortSignal} signal */
export async function json(url, signal) {
  return (await get(url, signal)).json();
}

/**
 * The text of an answer, and when the server says that it gave it.
 * @param {URL} url @param {AbortSignal} signal
 * @returns {Promise<{text: string, at: number}>}
 */
export async function answer(url, signal) {
  const response = await get(url, signal);
  return { text: await response.text(), at: Date.parse(response.headers.get("date") ?? "") || Date.now() };
}
