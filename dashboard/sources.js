// Where the data comes from: the stream, and three answers that are asked for again and again.

import { Connection } from "./connection.js";
import { remember } from "./history.js";
import { answer, json, Poll } from "./poll.js";

const TENANTS_MILLIS = 4_000;
const HOST_MILLIS = 5_000;
/** The stream waits no longer than this for the history. */
const HOLD_MILLIS = 2_500;
/** The history ends with a whole interval of five seconds. After this, it reaches to where the stream began. */
const SEAM_MILLIS = 6_500;
const HISTORY_MILLIS = 20_000;
/** A history that took longer than this to come is not asked for twice. */
const SLOW_MILLIS = 1_500;

export function streamUrl() {
  const url = new URL("../v1/stream/decisions", import.meta.url);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("events", "decision,tenant,error,quota");
  return url;
}

/** @param {string} path below /v1 */
const address = (path) => new URL(`../v1/${path}`, import.meta.url);

export class Sources {
  /**
   * @param {import("./store.js").Store} store
   * @param {() => void} onStatus when the connection is another
   */
  constructor(store, onStatus) {
    this.store = store;
    /** Whether the last answer of /v1/tenants failed, and when the last good one came. */
    this.failed = false;
    this.answeredAt = 0;
    /** Whether this supervisor has no history, because it is an older one. */
    this.forgets = false;
    /** @type {number|undefined} */
    this.seam = undefined;
    this.tenants = new Poll(
      TENANTS_MILLIS,
      async (signal) => store.setTenants(await json(address("tenants"), signal)),
      (failed) => {
        this.failed = failed;
        if (!failed) this.answeredAt = Date.now();
      },
    );
    this.host = new Poll(HOST_MILLIS, async (signal) => store.setHost(await json(address("overview"), signal), Date.now()), () => {});
    /** @type {Connection|null} it reports while it is being made */
    this.connection = null;
    this.connection = new Connection(streamUrl(), {
      onText: (text) => {
        if (store.onText(text, Date.now()) === "tenant") this.tenants.kick();
      },
      onStatus: (status) => {
        const connected = status.state === "connected";
        // First, so that messages wait until the history came.
        if (connected || (status.state === "waiting" && !store.settled)) this.catchUp();
        store.setStreaming(connected, Date.now());
        onStatus();
      },
    });
  }

  /** @returns {import("./connection.js").Status} */
  get status() {
    return this.connection?.status ?? { state: "connecting" };
  }

  /** Asks for what happened while the stream was not connected. */
  catchUp() {
    this.tenants.kick();
    this.host.kick();
    if (this.forgets) return;
    const { store } = this;
    store.hold();
    const late = setTimeout(() => store.release(), HOLD_MILLIS);
    const started = performance.now();
    this.askHistory(true).finally(() => {
      clearTimeout(late);
      store.release();
      clearTimeout(this.seam);
      if (!this.forgets && performance.now() - started < SLOW_MILLIS) this.seam = setTimeout(() => this.askHistory(false), SEAM_MILLIS);
    });
  }

  /** @param {boolean} withEvents */
  async askHistory(withEvents) {
    try {
      const { text, at } = await answer(address("history"), AbortSignal.timeout(HISTORY_MILLIS));
      // The header has whole seconds, so a difference below two says nothing.
      const ahead = this.store.host?.ahead ?? (Math.abs(at - Date.now()) < 2_000 ? 0 : at - Date.now());
      remember(this.store, text, ahead, withEvents);
    } catch (error) {
      if (error instanceof Error && error.message === "404") this.forgets = true;
    }
  }
}
