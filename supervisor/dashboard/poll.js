// Asks again and again, but never keeps the server or the page busy with it.

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
/** Text that is worked on at a stretch, before the page gets its turn. */
const SLICE_MILLIS = 8;

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
export async function json(url, signal) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

/**
 * Hands the text of an answer on as it comes, and lets the page have its turn between.
 * @param {URL} url @param {AbortSignal} signal @param {(piece: string) => void} onPiece
 */
export async function pieces(url, signal, onPiece) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (!response.ok || response.body === null) throw new Error(String(response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let since = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onPiece(value);
    if (performance.now() - since > SLICE_MILLIS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      since = performance.now();
    }
  }
}
