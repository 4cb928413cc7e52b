// A supervisor that does on demand what the real one does only under attack: consumers that lag,
// quota warnings, and 2,000 decisions a second of 1,000 tenants.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

const ASSETS = new URL("../../supervisor/dashboard/", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
/** The real one's. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const LAYERS = ["own_descriptors_only", "empty_environment", "first_to_go", "tenant_user", "user_namespace", "network_namespace", "ipc_namespace", "uts_namespace", "empty_root", "no_capabilities", "parent_death_signal", "not_dumpable", "no_executable_memory", "no_new_privileges", "landlock_files", "landlock_network", "landlock_scopes", "resource_limits", "system_call_filter"];
const BOUNDS = [0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1];

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
    this.decided = new Map();
    this.buckets = new Map();
    /** @type {Set<{socket: import("ws").WebSocket, tenant: string|null}>} */
    this.streams = new Set();
    this.refuseStream = false;
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
      revision: [...id].reduce((hex, c) => hex + c.charCodeAt(0).toString(16), "2a58dd3161de").padEnd(64, "7f3a").slice(0, 64),
      version: "1.0.0", sandbox_mode: "strict", sandbox: LAYERS, restarts: 0, restarts_by_cause: {}, reloads: 0, last_error: null, ...more,
    });
  }

  /** @param {object} message @param {string|null} tenant */
  send(message, tenant) {
    const text = JSON.stringify(message);
    for (const stream of this.streams) if (stream.tenant === null || tenant === null || stream.tenant === tenant) stream.socket.send(text);
  }

  /** @param {string} tenant @param {{allow?: boolean, reason?: string|null, redact?: string[], input?: any, micros?: number, skip?: number, more?: object}} [of] */
  decide(tenant, { allow = true, reason = null, redact = [], input = { action: "read" }, micros = 40, skip = 0, more = {} } = {}) {
    const sequence = (this.sequences.get(tenant) ?? 0) + 1 + skip;
    this.sequences.set(tenant, sequence);
    const decided = this.decided.get(tenant) ?? [0, 0];
    decided[allow ? 0 : 1] += 1;
    this.decided.set(tenant, decided);
    const buckets = this.buckets.get(tenant) ?? new Array(BOUNDS.length + 1).fill(0);
    const bucket = BOUNDS.findIndex((bound) => micros / 1e6 <= bound);
    buckets[bucket < 0 ? BOUNDS.length : bucket] += 1;
    this.buckets.set(tenant, buckets);
    this.send({
      type: "decision",
      data: {
        event_id: randomUUID(), tenant_id: tenant, timestamp: new Date().toISOString(), decision: { allow, redact, reason }, input,
        metrics: { eval_duration_micros: micros }, revision: this.tenants.get(tenant)?.revision ?? "", sequence, ...more,
      },
    }, tenant);
  }

  /** @param {string} tenant @param {string} change @param {string} message @param {any[]} [errors] */
  change(tenant, change, message, errors) {
    const { state = "ready", revision = null } = this.tenants.get(tenant) ?? {};
    this.send({ type: "tenant", data: { event_id: randomUUID(), tenant_id: tenant, timestamp: new Date().toISOString(), change, state, revision, message, errors } }, tenant);
  }

  /** @param {number} missed */
  lag(missed) {
    this.send({ type: "lagged", missed }, null);
  }

  /** @param {string} tenant @param {string} message */
  quota(tenant, message) {
    this.send({ type: "quota_warning", data: { tenant_id: tenant, timestamp: new Date().toISOString(), message } }, tenant);
  }

  metrics() {
    const lines = ["# TYPE enforcer_sandbox_off gauge", "enforcer_sandbox_off 0"];
    for (const id of this.tenants.keys()) {
      const [allow, deny] = this.decided.get(id) ?? [0, 0];
      lines.push(`enforcer_decisions_total{tenant="${id}",decision="allow"} ${allow}`, `enforcer_decisions_total{tenant="${id}",decision="deny"} ${deny}`);
      lines.push(`enforcer_worker_memory_bytes{tenant="${id}"} ${1_700_000 + id.length * 40_000}`, `enforcer_worker_cpu_seconds{tenant="${id}"} 0.5`);
      let below = 0;
      const buckets = this.buckets.get(id) ?? [];
      for (const [i, bound] of [...BOUNDS, "+Inf"].entries()) {
        below += buckets[i] ?? 0;
        lines.push(`enforcer_evaluation_seconds_bucket{le="${bound}",tenant="${id}"} ${below}`);
      }
    }
    return `${lines.join("\n")}\n# EOF\n`;
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  async answer(request, response) {
    const { pathname } = new URL((request.url ?? "").slice(this.prefix.length), "http://localhost");
    const json = (/** @type {number} */ status, /** @type {any} */ body) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (pathname === "/v1/tenants") return json(200, { result: [...this.tenants.values()] });
    if (pathname.startsWith("/v1/tenants/")) {
      const tenant = this.tenants.get(decodeURIComponent(pathname.slice("/v1/tenants/".length)));
      if (tenant === undefined) return json(404, { code: "resource_not_found", message: "there is no such tenant" });
      return json(200, { result: { ...tenant, uptime_millis: 8_100_000, cpu_millis: 1_234, memory_bytes: 2_400_000 } });
    }
    if (pathname === "/metrics") {
      response.writeHead(200, { "content-type": "application/openmetrics-text; version=1.0.0; charset=utf-8" });
      return response.end(this.metrics());
    }
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
