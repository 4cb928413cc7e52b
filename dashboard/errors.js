// Requests that got no decision: whose fault the code says it is, and what to do about it.

/** The server's and the policy's. Others are mistakes of the client, and no trouble of the tenant. */
const SERVER = new Set(["internal_error", "memory_limit_exceeded", "evaluation_timeout", "worker_unavailable", "tenant_unavailable", "overloaded"]);

/** @type {Record<string, string>} */
const ADVICE = {
  evaluation_timeout: "Look for loops over large data in the policy, or for an input that is far larger than usual. If the policy needs the time, raise ENFORCER_EVAL_TIMEOUT_MS.",
  memory_limit_exceeded: "Look for large sets or strings that the policy builds. If it needs the memory, raise ENFORCER_MEMORY_LIMIT_MIB.",
  internal_error: "Evaluate the policy with an input of one of these requests, and see the supervisor's log for the decision id.",
  worker_unavailable: "The worker ended or is restarting. See the last restart, and the supervisor's log.",
  tenant_unavailable: "The tenant has no usable policy. Repair its bundle; a change is tried at once.",
  quota_exceeded: "Clients of this tenant ask for more than its quotas allow. Find the client that asks so often, or raise the quota in the configuration file.",
  overloaded: "More requests wait than the tenant's queue holds. Send fewer at once, or raise ENFORCER_QUEUE_LENGTH.",
};

/** @param {string} code @param {number} [status] where it is known */
export function isServerError(code, status = 0) {
  return status > 0 ? status >= 500 : SERVER.has(code);
}

/** What to do; empty for a code that explains itself. @param {string} code */
export function advice(code) {
  return Object.hasOwn(ADVICE, code) ? ADVICE[code] : "";
}

/** How many of these are the server's. @param {Record<string, number>|undefined} byCode */
export function serverErrors(byCode) {
  let sum = 0;
  for (const [code, n] of Object.entries(byCode ?? {})) if (isServerError(code)) sum += Number(n) || 0;
  return sum;
}
