// The supervisor itself: its version, how long it runs, and which of its limits were reached.

import { el, setText } from "./dom.js";
import { count, duration, plural } from "./format.js";

/** @param {import("./host.js").Host} host @param {number} now by the server's clock @returns {[string, string, boolean][]} name, value, whether somebody should look */
export function hostFacts(host, now) {
  const limits = Object.entries(host.hostLimits).filter(([, n]) => n > 0).map(([name, n]) => `${name.replaceAll("_", " ")} ${count(n)}×`);
  /** @type {[string, string, boolean][]} */
  const facts = [
    ["Version", host.version || "unknown", false],
    ["Uptime", host.started > 0 ? duration(now - host.started) : "unknown", false],
    ["Process", host.pid > 0 ? `pid ${host.pid}` : "unknown", false],
    ["Sandbox", host.sandboxOff ? "off" : "strict", host.sandboxOff],
    ["Connections", `${count(host.connections)} of ${count(host.maxConnections)}`, host.maxConnections > 0 && host.connections >= host.maxConnections],
    ["Stream consumers", count(host.consumers), false],
    ["Limits reached", limits.length === 0 ? "none" : limits.join(", "), limits.length > 0],
  ];
  if (!host.isReady) facts.push(["Readiness", "some tenants were not tried yet", true]);
  if (host.droppedLogLines > 0) facts.push(["Log lines lost", count(host.droppedLogLines), true]);
  if (host.ignoredDirectories > 0) facts.push(["Ignored directories", `${plural(host.ignoredDirectories, "name")} cannot be a tenant id`, true]);
  return facts;
}

export class HostPanel {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.list = el("dl", { class: "host-facts" });
    this.said = "";
    this.element = el("section", { class: "panel host", "aria-label": "Supervisor", hidden: true }, this.list);
  }

  /** @param {number} now */
  update(now) {
    const { host } = this.store;
    this.element.hidden = host === null;
    if (host === null) return;
    const facts = hostFacts(host, this.store.serverTime(now));
    const names = facts.map(([name, , attention]) => `${name} ${attention}`).join();
    if (names !== this.said) {
      this.said = names;
      this.list.replaceChildren(...facts.map(([name, , attention]) => el("div", { class: attention ? "attention" : null }, el("dt", {}, name), el("dd", {}))));
    }
    for (const [i, [, value]] of facts.entries()) setText(this.list.children[i].lastChild, value);
  }
}
