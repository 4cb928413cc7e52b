// What the states of a tenant mean to an operator: which of them are trouble, and which come first.

/** What needs somebody comes first. */
export const STATES = ["quarantined", "rejected", "failing", "backoff", "starting", "waiting", "ready", "asleep", "stopped"];
const TROUBLE = new Set(["quarantined", "rejected", "failing"]);
/** A worker that comes up again within this time is no trouble. */
const BACKOFF_MILLIS = 10_000;

/** @type {Record<string, string>} */
const WORDS = {
  asleep: "It has no worker until somebody asks it. That is no fault: it is activated lazily.",
  waiting: "Its directory holds no policy and no data yet. It starts as soon as there is some.",
  starting: "Its worker is starting.",
  ready: "Its worker serves.",
  failing: "Its worker serves, but the last evaluations in a row all ended in errors.",
  rejected: "Its bundle cannot be used, and no older revision serves.",
  backoff: "Its worker ended, and is started again in a moment.",
  quarantined: "Its workers failed too often. The next attempt comes by itself.",
  stopped: "The supervisor is shutting down.",
};

/** @param {string} state */
export function stateWords(state) {
  return Object.hasOwn(WORDS, state) ? WORDS[state] : "";
}

/** Whether somebody has to look after this tenant. @param {any} tenant @param {number} now by the server's clock */
export function inTrouble(tenant, now) {
  if (TROUBLE.has(tenant.state)) return true;
  return tenant.state === "backoff" && now - Date.parse(tenant.since) > BACKOFF_MILLIS;
}

/** Where this state stands in a sorted list. @param {string} state */
export function stateOrder(state) {
  const at = STATES.indexOf(state);
  // A state of a newer server: between those that need somebody, and those that are well.
  return at < 0 ? STATES.indexOf("starting") : at;
}
