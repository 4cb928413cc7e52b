// What is known of a tenant's worker, as names and values.

import { ago, clock, count, duration, NONE } from "./format.js";

/** @param {Record<string, number>|undefined} counts */
const sums = (counts) => Object.entries(counts ?? {}).filter(([, n]) => n > 0).map(([name, n]) => `${name} ${count(n)}`).join(", ");

/** A time, and how long ago it was. @param {any} at @param {number} now */
function moment(at, now) {
  const millis = Date.parse(at);
  return Number.isNaN(millis) ? NONE : `${clock(millis)}, ${ago(millis, now)}`;
}

/** @param {any} restart of `/v1/tenants` @param {number} now */
function restartWords(restart, now) {
  return `${moment(restart.at, now)}: ${[restart.cause, restart.message].filter(Boolean).join(", ")}`;
}

/**
 * Where a remote bundle comes from, and how current it is known to be.
 * @param {any} source of `/v1/tenants/{id}`, for a tenant whose bundle is remote @param {number} now
 * @returns {[string, string][]}
 */
function sourceFacts(source, now) {
  if (!source) return [];
  const { service, resource, long_polling: longPolling, last_error: error } = source;
  return [
    ["Bundle from", `${service}: ${resource}${longPolling ? ", by long polls" : ""}`],
    ["Bundle confirmed", source.last_successful_attempt ? moment(source.last_successful_attempt, now) : "never"],
    ["Bundle downloaded", moment(source.last_successful_download, now)],
    ["Server went back", moment(source.last_rollback, now)],
    ["Download fails", error ? `since ${moment(error.since, now)}: ${error.message}` : ""],
  ];
}

/**
 * Only what is known, and what there is some of: a long list of "none" hides the rest.
 * @param {any} tenant of `/v1/tenants/{id}` @param {import("./host.js").Totals|undefined} totals @param {number} now by the server's clock
 * @returns {[string, string][]}
 */
export function tenantFacts(tenant, totals, now) {
  const { ignored_files: ignored } = tenant;
  /** @type {[string, string][]} */
  const facts = [
    ["State since", moment(tenant.since, now)],
    ["Revision since", moment(tenant.revision_since, now)],
    ...sourceFacts(tenant.bundle_source, now),
    ["Evaluator", String(tenant.evaluator ?? "")],
    ["Reason", String(tenant.interpreted_because ?? "")],
    ["Process", tenant.pid ? `pid ${tenant.pid}${tenant.uptime_millis == null ? "" : `, up ${duration(tenant.uptime_millis)}`}` : "no worker"],
    ["Processor time", tenant.cpu_millis > 0 ? `${count(tenant.cpu_millis)} ms` : ""],
    ["Activation", String(tenant.activation ?? "")],
    ["Reloads", count(tenant.reloads ?? 0)],
    ["Last restart", tenant.last_restart ? restartWords(tenant.last_restart, now) : ""],
    ["Decisions", totals ? `${count(totals.allow)} allowed, ${count(totals.deny)} denied` : ""],
    ["Errors", sums(tenant.evaluation_errors?.by_code ?? totals?.errors)],
    ["Limits reached", sums(totals?.limits)],
    ["Ignored files", Array.isArray(ignored) ? ignored.join(", ") : ""],
  ];
  return facts.filter(([, value]) => value !== "" && value !== NONE);
}
