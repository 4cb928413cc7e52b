// A supervisor that does on demand what the real one does only under attack: consumers that lag,
// quota warnings, failing policies, quarantines, and 2,000 decisions a second of 1,000 tenants.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { residency } from "./why-answers.js";

const ASSETS = new URL("../../dashboard/", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
/** The real one's. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const LAYERS = ["own_descriptors_only", "empty_environment", "oom_score", "tenant_user", "user_namespace", "network_namespace", "ipc_namespace", "uts_namespace", "empty_root", "no_capabilities", "parent_death_signal", "not_dumpable", "no_executable_memory", "no_new_privileges", "landlock_files", "landlock_network", "landlock_scopes", "resource_limits", "seccomp", "cgroup"];
const BOUNDS = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000];
/** As the real one's history: 15 minutes, in pieces of 5 seconds. */
const SAMPLES = 180;
const INTERVAL = 5;
/** Of each tenant, of all of them, and changes of tenants. */
const LAST_OF_TENANT = 20;
const LAST = 500;

/** @returns {{allowed: number, denied: number, errors: number, evaluations: number[]|null}} */
const nothing = () => ({ allowed: 0, denied: 0, errors: 0, evaluations: null });

/** A small generator, so that every run draws the same. @param {number} seed */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

export class Mock {
  constructor() {
    this.tenants = new Map();
    this.sequences = new Map();
    /** Totals by tenant, as /v1/overview gives them. @type {Map<string, any>} */
    this.totals = new Map();
    /** By tenant, "" for the host: interval to what was counted in it. @type {Map<string, Map<number, any>>} */
    this.samples = new Map([["", new Map()]]);
    /** What the history gives, the oldest first. @type {any[]} */
    this.remembered = [];
    /** Fields of /v1/overview that a test wants to be different. @type {Record<string, any>} */
    this.overview = {};
    this.started = Date.now() - 93_784_000;
    /** Whether it is of an older version, without /v1/overview and /v1/history. */
    this.isOld = false;
    /** How long the history takes, in milliseconds. */
    this.historyTakes = 0;
    this.histories = 0;
    /** @type {Set<{socket: import("ws").WebSocket, tenant: string|null}>} */
    this.streams = new Set();
    this.refuseStream = false;
    /** What was asked of /why, in turn: the tenants and the bodies. @type {{tenant: string, body: string}[]} */
    this.asked = [];
    /** How many of them were given up before there was an answer. */
    this.givenUp = 0;
    /** The answer of /why. @type {(tenant: string, body: string) => Promise<{status?: number, body: any}>|{status?: number, body: any}} */
    this.why = (tenant) => ({ body: residency(tenant, this.tenants.get(tenant)?.revision ?? "") });
    /** What a gateway puts before every path. */
    this.prefix = "";
    this.server = createServer((request, response) => this.answer(request, response));
    this.sockets = new WebSocketServer({ noServer: true });
    this.server.on("upgrade", (request, socket, head) => {
      const url = new URL((request.url ?? "").slice(this.prefix.length), "http://localhost");
      const tenant = url.searchParams.get("tenant_id");
      if (this.refuseStream || url.pathname !== "/v1/stream/decisions" || (tenant !== null && !this.tenants.has(tenant))) {
        socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      this.sockets.handleUpgrade(request, socket, head, (ws) => {
        const stream = { socket: ws, tenant };
        this.streams.add(stream);
        ws.on("close", () => this.streams.delete(stream));
        ws.send(JSON.stringify({ type: "connected", message: "Decision stream ready" }));
      });
    });
  }

  /** @param {number} [port] */
  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", () => resolve(undefined)));
    const address = this.server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    return `http://127.0.0.1:${this.port}`;
  }

  /** May be called again. */
  async close() {
    for (const { socket } of this.streams) socket.terminate();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** @param {string} id @param {object} [more] */
  add(id, more = {}) {
    this.tenants.set(id, {
      tenant_id: id, state: "ready", since: new Date().toISOString(), activation: "eager", pid: 4000 + this.tenants.size,
      revision_since: new Date(Date.now() - 7_500_000).toISOString(), evaluator: "bytecode", warnings: [], ignored_files: [],
      last_restart: null, evaluation_errors: { total: 0, by_code: {} }, last_evaluation_error: null, quarantine: null, stale: null,
      revision: [...id].reduce((hex, c) => hex + c.charCodeAt(0).toString(16), "2a58dd3161de").padEnd(64, "7f3a").slice(0, 64),
      version: "1.0.0", sandbox_mode: "strict", sandbox: LAYERS, restarts: 0, restarts_by_cause: {}, reloads: 0, last_error: null, ...more,
    });
  }

  /** @param {object} message @param {string|null} tenant */
  send(message, tenant) {
    const text = JSON.stringify(message);
    for (const stream of this.streams) if (stream.tenant === null || tenant === null || stream.tenant === tenant) stream.socket.send(text);
  }

  /** Counts for the overview and the history. @param {string} tenant @param {number} at @param {"allowed"|"denied"|"errors"} what @param {number} n @param {number|null} micros */
  count(tenant, at, what, n, micros) {
    const totals = this.totals.get(tenant) ?? { allowed: 0, denied: 0, errors: {}, limits: {}, evaluations: { count: 0, sum_micros: 0, buckets: new Array(BOUNDS.length + 1).fill(0) }, cpu_millis: 812, memory_bytes: 1_700_000 + tenant.length * 40_000 };
    this.totals.set(tenant, totals);
    if (what !== "errors") totals[what] += n;
    const bound = micros === null ? -1 : BOUNDS.findIndex((most) => micros <= most);
    const bucket = bound < 0 ? BOUNDS.length : bound;
    if (micros !== null) {
      totals.evaluations.count += n;
      totals.evaluations.sum_micros += n * micros;
      totals.evaluations.buckets[bucket] += n;
    }
    for (const of of ["", tenant]) {
      const samples = this.samples.get(of) ?? new Map();
      this.samples.set(of, samples);
      const stamp = Math.floor(at / 1000 / INTERVAL);
      const sample = samples.get(stamp) ?? nothing();
      samples.set(stamp, sample);
      sample[what] += n;
      if (micros === null) continue;
      sample.evaluations ??= new Array(BOUNDS.length + 1).fill(0);
      sample.evaluations[bucket] += n;
    }
    return totals;
  }

  /** @param {any} message */
  remember(message) {
    this.remembered.push(message);
    if (this.remembered.length > 20_000) this.remembered = this.lastEvents();
  }

  lastEvents() {
    const left = new Map();
    /** @type {Record<string, number>} */
    const many = {};
    return this.remembered.slice().reverse().filter((message) => {
      many[message.type] = (many[message.type] ?? 0) + 1;
      if (message.type !== "decision") return many[message.type] <= LAST;
      const id = message.data.tenant_id;
      left.set(id, (left.get(id) ?? 0) + 1);
      return left.get(id) <= LAST_OF_TENANT && many.decision <= LAST;
    }).slice().reverse();
  }

  /** @param {string} tenant @param {{allow?: boolean, reason?: string|null, redact?: string[], input?: any, micros?: number, skip?: number, at?: number, more?: object}} [of] */
  decide(tenant, { allow = true, reason = null, redact = [], input = { action: "read" }, micros = 40, skip = 0, at = Date.now(), more = {} } = {}) {
    const sequence = (this.sequences.get(tenant) ?? 0) + 1 + skip;
    this.sequences.set(tenant, sequence);
    this.count(tenant, at, allow ? "allowed" : "denied", 1, micros);
    const message = {
      type: "decision",
      data: {
        event_id: randomUUID(), tenant_id: tenant, timestamp: new Date(at).toISOString(), decision: { allow, redact, reason }, input,
        metrics: { eval_duration_micros: micros }, revision: this.tenants.get(tenant)?.revision ?? "", sequence, ...more,
      },
    };
    const known = this.tenants.get(tenant)?.last_evaluation_error;
    if (known) known.consecutive = 0;
    this.remember(message);
    this.send(message, tenant);
    return message.data.event_id;
  }

  /**
   * A request that got no decision.
   * @param {string} tenant @param {{code?: string, status?: number, message?: string, errors?: any[], input?: any, at?: number, more?: object}} [of]
   */
  fail(tenant, { code = "evaluation_timeout", status = 504, message = "the policy did not decide within its deadline", errors = [], input = { action: "read" }, at = Date.now(), more = {} } = {}) {
    const id = randomUUID();
    const totals = this.count(tenant, at, "errors", status >= 500 ? 1 : 0, status === 504 ? 100_000 : null);
    totals.errors[code] = (totals.errors[code] ?? 0) + 1;
    const known = this.tenants.get(tenant);
    if (known !== undefined) {
      known.evaluation_errors = { total: known.evaluation_errors.total + 1, by_code: { ...totals.errors } };
      const before = known.last_evaluation_error;
      if (status >= 500) known.last_evaluation_error = { at: new Date(at).toISOString(), code, status, message, errors, decision_id: id, count: (before?.count ?? 0) + 1, consecutive: (before?.consecutive ?? 0) + 1 };
    }
    const event = { type: "error", data: { event_id: id, tenant_id: tenant, timestamp: new Date(at).toISOString(), code, status, message, errors, input, ...(status === 504 ? { metrics: { eval_duration_micros: 100_000 } } : {}), ...more } };
    this.remember(event);
    this.send(event, tenant);
    return id;
  }

  /** @param {string} tenant @param {string} change @param {string} message @param {any[]} [errors] @param {number} [at] */
  change(tenant, change, message, errors, at = Date.now()) {
    const { state = "ready", revision = null } = this.tenants.get(tenant) ?? {};
    const event = { type: "tenant", data: { event_id: randomUUID(), tenant_id: tenant, timestamp: new Date(at).toISOString(), change, state, revision, message, errors } };
    this.remember(event);
    this.send(event, tenant);
  }

  /** @param {number} missed */
  lag(missed) {
    this.send({ type: "lagged", missed }, null);
  }

  /** @param {string} tenant @param {string} message */
  quota(tenant, message) {
    this.send({ type: "quota_warning", data: { tenant_id: tenant, timestamp: new Date().toISOString(), message } }, tenant);
  }

  /** /v1/overview */
  overviewAnswer() {
    const states = {};
    for (const { state } of this.tenants.values()) states[state] = (states[state] ?? 0) + 1;
    return {
      version: "0.6.0", started: new Date(this.started).toISOString(), now: new Date().toISOString(), uptime_seconds: Math.floor((Date.now() - this.started) / 1000), pid: 812,
      sandbox_mode: "strict", bundles_dir_readable: true, is_ready: true, connections: 12, max_connections: 4_096, stream_consumers: this.streams.size,
      host_limits: { connections: 0, shutdown_time: 0, worker_starts: 0, stream_consumers: 0 }, dropped_log_lines: 0, ignored_directories: 0, states,
      tenants: Object.fromEntries(this.totals), evaluation_bounds_micros: BOUNDS, ...this.overview,
    };
  }

  /** /v1/history */
  historyAnswer() {
    const end = Math.floor(Date.now() / 1000 / INTERVAL);
    const stamps = Array.from({ length: SAMPLES }, (_, i) => end - SAMPLES + i);
    const list = (/** @type {string} */ id, /** @type {string} */ key) => stamps.map((stamp) => this.samples.get(id)?.get(stamp)?.[key] ?? (key === "evaluations" ? null : 0));
    const of = (/** @type {string} */ id) => ({ allowed: list(id, "allowed"), denied: list(id, "denied"), errors: list(id, "errors") });
    const ids = [...this.samples.keys()].filter((id) => id !== "");
    return {
      interval_seconds: INTERVAL, until: new Date(end * INTERVAL * 1000).toISOString(), samples: SAMPLES,
      host: { ...of(""), evaluations: list("", "evaluations") }, tenants: Object.fromEntries(ids.map((id) => [id, of(id)])), events: this.lastEvents(),
    };
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  async answer(request, response) {
    const { pathname } = new URL((request.url ?? "").slice(this.prefix.length), "http://localhost");
    const json = (/** @type {number} */ status, /** @type {any} */ body) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify(body));
    };
    if (pathname === "/v1/tenants") return json(200, { result: [...this.tenants.values()] });
    const why = /^\/v1\/tenants\/([^/]+)\/why$/.exec(pathname);
    if (why !== null) {
      if (request.method !== "POST") return json(405, { code: "invalid_operation", message: "the resource does not support this method" });
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const asked = { tenant: decodeURIComponent(why[1]), body: Buffer.concat(chunks).toString() };
      this.asked.push(asked);
      response.once("close", () => {
        if (!response.writableEnded) this.givenUp += 1;
      });
      const { status = 200, body } = await this.why(asked.tenant, asked.body);
      return json(status, body);
    }
    if (pathname.startsWith("/v1/tenants/")) {
      const tenant = this.tenants.get(decodeURIComponent(pathname.slice("/v1/tenants/".length)));
      if (tenant === undefined) return json(404, { code: "resource_not_found", message: "there is no such tenant" });
      return json(200, { result: { ...tenant, ...(tenant.pid === null ? { uptime_millis: null, cpu_millis: null, memory_bytes: null } : { uptime_millis: 8_100_000, cpu_millis: 1_234, memory_bytes: 2_400_000 }) } });
    }
    if (pathname === "/v1/overview" && !this.isOld) return json(200, { result: this.overviewAnswer() });
    if (pathname === "/v1/history" && !this.isOld) {
      this.histories += 1;
      await new Promise((resolve) => setTimeout(resolve, this.historyTakes));
      return json(200, { result: this.historyAnswer() });
    }
    if (pathname === "/dashboard/session") return json(200, { result: { is_open: true, name: "anyone", roles: ["decide", "observe", "operate"], is_for_all: true, tenants: null, expires: null } });
    const file = pathname === "/dashboard" ? "index.html" : /^\/dashboard\/([a-z-]+\.(?:html|css|js|svg))$/.exec(pathname)?.[1];
    if (file === undefined) return json(404, { code: "resource_not_found", message: "no such resource" });
    try {
      const body = await readFile(fileURLToPath(new URL(file, ASSETS)));
      response.writeHead(200, { "content-type": TYPES[/** @type {keyof TYPES} */ (file.split(".").at(-1))], "content-security-policy": CSP });
      response.end(body);
    } catch {
      json(404, { code: "resource_not_found", message: "no such resource" });
    }
  }
}
