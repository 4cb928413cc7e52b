// A WebSocket that comes back. It says what it is doing, and never gives up unless told to.

/** The first wait after a lost connection, and the longest. */
const FIRST_MILLIS = 500;
const LONGEST_MILLIS = 10_000;
/** A connection that held this long was a good one, so the next waits are short again. */
const STEADY_MILLIS = 5_000;
/** How long a connection may take to come up. */
const OPEN_MILLIS = 10_000;

/**
 * How long to wait before the next try. A random half of it keeps all the dashboards of a host
 * from coming back at the same moment.
 * @param {number} attempt 0 for the first @param {number} random between 0 and 1
 */
export function backoff(attempt, random) {
  const full = Math.min(LONGEST_MILLIS, FIRST_MILLIS * 2 ** (attempt + 1));
  return full / 2 + (full / 2) * random;
}

/**
 * @typedef {{state: "connecting"}|{state: "connected"}|{state: "waiting", until: number, reason: string}
 *   |{state: "offline"}|{state: "closed"}} Status
 */

export class Connection {
  /**
   * @param {URL} url
   * @param {{onText: (text: string) => void, onStatus: (status: Status) => void}} to
   */
  constructor(url, { onText, onStatus }) {
    this.url = url;
    this.onText = onText;
    this.onStatus = onStatus;
    /** @type {Status} */
    this.status = { state: "connecting" };
    this.attempt = 0;
    /** @type {WebSocket|null} */
    this.socket = null;
    /** @type {number|undefined} */
    this.timer = undefined;
    this.wake = () => {
      if (this.status.state === "waiting" || this.status.state === "offline") this.open();
    };
    this.sleep = () => {
      if (this.status.state !== "connected") this.retry("");
    };
    addEventListener("online", this.wake);
    addEventListener("offline", this.sleep);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.set({ state: "connecting" });
    const socket = new WebSocket(this.url);
    this.socket = socket;
    let opened = 0;
    const deadline = setTimeout(() => socket.close(), OPEN_MILLIS);
    socket.onopen = () => {
      clearTimeout(deadline);
      opened = Date.now();
      this.set({ state: "connected" });
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.onText(data);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(deadline);
      if (this.socket !== socket) return;
      if (opened > 0 && Date.now() - opened > STEADY_MILLIS) this.attempt = 0;
      this.retry(code === 1001 ? "The server is shutting down" : reason);
    };
  }

  /** @param {string} reason */
  retry(reason) {
    clearTimeout(this.timer);
    this.drop();
    if (!navigator.onLine) {
      this.set({ state: "offline" });
      return;
    }
    const wait = backoff(this.attempt, Math.random());
    this.attempt += 1;
    this.set({ state: "waiting", until: Date.now() + wait, reason });
    this.timer = setTimeout(() => this.open(), wait);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  close() {
    clearTimeout(this.timer);
    removeEventListener("online", this.wake);
    removeEventListener("offline", this.sleep);
    this.drop();
    this.set({ state: "closed" });
  }

  /** @param {Status} status */
  set(status) {
    this.status = status;
    this.onStatus(status);
  }
}
