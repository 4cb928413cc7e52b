// One tenant: what it is, how it does, what went wrong, and its own stream.

import { Crosshair } from "./chart.js";
import { Connection } from "./connection.js";
import { copyButton, el, foreign, setAttr, setState, setText, statePill } from "./dom.js";
import { ago, bytes, clock, count, duration, plural } from "./format.js";
import { Feed, decisionOf, failureOf, missedOf } from "./feed.js";
import { layerWords } from "./layers.js";
import { DecisionList } from "./list.js";
import { askForOne, evaluationChart, Figure, rateChart, Traffic } from "./parts.js";
import { json, Poll } from "./poll.js";
import { Problems } from "./problems.js";
import { QuotaBars, quotaFacts } from "./quotas.js";
import { stateWords } from "./states.js";
import { tenantFacts } from "./tenant-facts.js";

const CHART_MILLIS = 1_000;
const POLL_MILLIS = 3_000;
/** Its stream waits no longer than this for the history, and with no more messages. */
const WAIT_MILLIS = 4_000;
const MAX_WAITING = 2_000;
/** Lifecycle events that are shown. */
const EVENTS = 20;
/** Of those, the ones that are marked in the charts. */
const MARKS = 12;

export class TenantPage {
  /** @param {import("./app.js").Context} context @param {string} id */
  constructor({ store, streamUrl }, id) {
    this.store = store;
    this.id = id;
    this.title = id;
    /** @type {any} */
    this.tenant = store.tenants.get(id) ?? null;
    this.missing = false;
    this.chartedAt = 0;
    this.fills = 0;
    /** Messages that wait until the page has caught up; null: they need not. @type {{text: string, now: number}[]|null} */
    this.waiting = null;
    this.waitUntil = 0;
    this.prefills = 0;
    store.follow(id);

    this.state = statePill("");
    this.stateNote = el("p", { class: "state-note dim" });
    this.revision = el("span", { class: "mono" });
    this.revisionAge = el("span", { class: "dim" });
    this.copyRevision = copyButton("Copy the revision", () => String(this.tenant?.revision ?? ""));
    this.version = el("span");
    this.off = el("span", { class: "warning-chip", hidden: true }, "Sandbox off");
    this.traffic = new Traffic();
    this.memory = new Figure("Memory");
    this.restarts = new Figure("Restarts");
    this.rates = rateChart();
    this.times = evaluationChart();
    new Crosshair().link(this.rates, this.times);
    this.problems = new Problems();
    this.facts = el("dl", { class: "facts wide" });
    this.factsShown = "";
    this.quotas = new QuotaBars();
    this.layers = el("ul", { class: "layers" });
    this.layersShown = "";
    this.layerCount = el("span", { class: "dim" });
    this.noLayers = el("p", { class: "empty small", hidden: true });
    this.events = el("ol", { class: "events", role: "list" });
    this.eventsShown = "";
    this.noEvents = el("p", { class: "empty small" }, "The supervisor remembers no change of this tenant.");
    this.feed = new Feed();
    this.streamState = el("span", { class: "dim" });
    this.list = new DecisionList({
      feed: this.feed,
      store,
      oneTenant: true,
      filter: { tenant: "", text: "", only: "" },
      onFilter: () => {},
      empty: () => askForOne(id),
    });
    const panel = (/** @type {string} */ name, /** @type {(Node|null)[]} */ extra, /** @type {Node[]} */ ...children) =>
      el("section", { class: "panel", "aria-label": name }, el("header", { class: "panel-head" }, el("h2", {}, name), ...extra), ...children);
    this.quotaPanel = panel("Quotas", [], this.quotas.element);
    this.quotaPanel.hidden = true;
    this.body = el("div", { class: "tenant-body" },
      el("dl", { class: "figures" }, ...[...this.traffic.all, this.memory, this.restarts].map((figure) => figure.element)),
      this.problems.element,
      el("div", { class: "charts" }, this.rates.element, this.times.element),
      this.quotaPanel,
      el("div", { class: "columns" },
        panel("Worker", [], this.stateNote, this.facts),
        panel("Lifecycle", [], this.events, this.noEvents),
        panel("Sandbox", [this.layerCount], this.layers, this.noLayers)),
      el("section", { "aria-label": "Decisions" }, el("div", { class: "section-head" }, el("h2", {}, "Decisions"), this.streamState), this.list.element));
    this.gone = el("p", { class: "empty", hidden: true }, "There is no such tenant. It may have been removed. ", el("a", { href: "#/" }, "All tenants"));
    this.element = el("div", { class: "page tenant-page" },
      el("nav", { class: "crumbs", "aria-label": "Path" }, el("a", { href: "#/" }, "Tenants")),
      el("div", { class: "tenant-head" },
        el("h1", { tabindex: "-1" }, foreign(id)), this.state, this.version,
        el("span", { class: "revision" }, this.revision, this.revisionAge, this.copyRevision), this.off),
      this.gone, this.body);

    const url = streamUrl();
    url.searchParams.set("tenant_id", id);
    this.connect = () =>
      new Connection(url, {
        onText: (text) => this.onText(text),
        onStatus: (status) => {
          if (status.state !== "connected") return;
          this.feed.connected(Date.now());
          this.waiting ??= [];
          this.waitUntil = Date.now() + WAIT_MILLIS;
        },
      });
    this.catchUp();
    this.connection = this.connect();
    const address = new URL(`../v1/tenants/${encodeURIComponent(id)}`, import.meta.url);
    this.poll = new Poll(POLL_MILLIS, async (signal) => {
      try {
        const answer = await json(address, signal);
        this.tenant = answer.result;
        this.setMissing(false);
      } catch (error) {
        if (error instanceof Error && error.message === "404") this.setMissing(true);
        throw error;
      }
    }, () => this.update(Date.now()));
  }

  /** What the stream of all tenants told of this one before its own was connected. */
  catchUp() {
    const { feed } = this.store;
    const entries = feed.all().filter((entry) => entry.kind !== "gap" && entry.tenant === this.id && this.feed.find(entry.eventId) === null);
    // Copies: their places in the other list are their own.
    const fresh = /** @type {any[]} */ (entries).map((entry) => ({ ...entry }));
    const oldest = this.feed.all().find((entry) => entry.kind !== "gap")?.at ?? Infinity;
    this.feed.prefill(fresh.filter((entry) => entry.at < oldest), false);
    for (const entry of fresh) {
      if (entry.at < oldest) continue;
      if (entry.kind === "decision") this.feed.push(entry);
      else this.feed.add(entry);
    }
    this.prefills = feed.prefills;
  }

  /** Its own stream goes on where the history ends. @param {number} now */
  flush(now) {
    const { store, waiting } = this;
    if (waiting === null) return;
    const ready = store.streaming && store.held === null && store.settled;
    if (!ready && now < this.waitUntil && waiting.length < MAX_WAITING) return;
    this.catchUp();
    this.waiting = null;
    for (const message of waiting) this.take(message.text, message.now);
  }

  /** @param {boolean} missing */
  setMissing(missing) {
    this.missing = missing;
    this.gone.hidden = !missing;
    this.body.hidden = missing;
    this.state.classList.toggle("unseen", missing);
    this.revision.classList.toggle("unseen", missing);
    // There is no stream of a tenant that is not there, and asking for it again and again is noise.
    if (missing) this.connection.close();
    else if (this.connection.status.state === "closed") this.connection = this.connect();
  }

  /** @param {string} text */
  onText(text) {
    const now = Date.now();
    this.flush(now);
    if (this.waiting === null) this.take(text, now);
    else this.waiting.push({ text, now });
  }

  /** @param {string} text @param {number} now */
  take(text, now) {
    /** @type {any} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message?.type === "decision") {
      const decision = decisionOf(message.data, text, now);
      if (decision === null) return;
      if (this.feed.find(decision.eventId) === null) this.feed.push(decision);
      else this.feed.note(decision);
    } else if (message?.type === "error") {
      const failure = failureOf(message.data, text, now);
      if (failure !== null && this.feed.find(failure.eventId) === null) this.feed.add(failure);
      this.poll.kick();
    } else if (message?.type === "lagged") this.feed.lagged(missedOf(message), now);
    else if (message?.type === "tenant") this.poll.kick();
  }

  /** @param {number} now */
  update(now) {
    const { store, id } = this;
    /** @type {any} */
    const tenant = this.tenant ?? {};
    const figures = store.figures(id, now);
    const time = store.serverTime(now);
    // The history may have come after this page was opened.
    if (this.prefills !== store.feed.prefills) this.catchUp();
    this.flush(now);
    setState(this.state, String(tenant.state ?? "starting"));
    setText(this.stateNote, stateWords(String(tenant.state)));
    const since = Date.parse(tenant.revision_since);
    setText(this.revisionAge, Number.isNaN(since) ? "" : `serves for ${duration(time - since)}`);
    setText(this.version, tenant.version ? `Version ${tenant.version}` : "");
    setText(this.revision, tenant.revision ? tenant.revision.slice(0, 12) : "no revision");
    setAttr(this.revision, "title", tenant.revision ?? null);
    this.revision.classList.toggle("mono", Boolean(tenant.revision));
    this.copyRevision.hidden = !tenant.revision;
    this.off.hidden = tenant.sandbox_mode === undefined || tenant.sandbox_mode === "strict";
    this.traffic.set(figures, store.streaming);
    const memory = tenant.memory_bytes ?? store.host?.tenants.get(id)?.memory ?? null;
    this.memory.set(bytes(memory), memory === null ? "no worker" : "of the worker");
    const causes = Object.entries(tenant.restarts_by_cause ?? {}).map(([cause, n]) => `${cause}: ${n}`);
    this.restarts.set(count(tenant.restarts ?? 0), causes.length === 0 ? "since the start" : causes.join(", "));
    if (now - this.chartedAt >= CHART_MILLIS || this.fills !== store.fills) {
      this.chartedAt = now;
      this.fills = store.fills;
      const marks = this.marks(now);
      this.rates.update(store.rates(id, now), marks);
      this.times.update(store.evaluations(id, now), marks);
      this.setFacts(tenant, time);
      this.problems.update(tenant, time);
    }
    const quotas = quotaFacts(tenant.quotas);
    this.quotaPanel.hidden = quotas.length === 0;
    this.quotas.fill(quotas);
    this.setLayers(tenant);
    this.setEvents(time);
    const { status } = this.connection;
    setText(this.streamState, status.state === "connected" ? "Live" : status.state === "waiting" ? "Reconnecting" : "Connecting");
    this.list.update(now);
  }

  /** @param {any} tenant @param {number} now */
  setFacts(tenant, now) {
    const facts = tenantFacts(tenant, this.store.host?.tenants.get(this.id), now);
    const key = facts.join();
    if (key === this.factsShown) return;
    this.factsShown = key;
    this.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, foreign(value)))));
  }

  /** @param {any} tenant */
  setLayers(tenant) {
    const names = Array.isArray(tenant.sandbox) ? tenant.sandbox.map(String) : [];
    const key = names.join();
    this.noLayers.hidden = names.length > 0;
    setText(this.noLayers, tenant.sandbox_mode === "debug-off" ? "The sandbox is off. The worker may do what the supervisor may do." : "No worker runs.");
    setText(this.layerCount, names.length === 0 ? "" : plural(names.length, "layer"));
    if (key === this.layersShown) return;
    this.layersShown = key;
    this.layers.replaceChildren(...names.map((/** @type {string} */ name) => el("li", { title: name }, layerWords(name))));
  }

  /** What happened to it, for the charts. @param {number} now @returns {import("./chart.js").Mark[]} */
  marks(now) {
    const ahead = this.store.serverTime(now) - now;
    return this.store.events
      .filter((event) => event.tenant_id === this.id)
      .slice(0, MARKS)
      .map((event) => ({ second: (event.at - ahead) / 1000, name: String(event.change) }));
  }

  /** @param {number} now */
  setEvents(now) {
    const events = this.store.events.filter((event) => event.tenant_id === this.id).slice(0, EVENTS);
    const key = events.map((event) => `${event.at} ${event.change}`).join();
    this.noEvents.hidden = events.length > 0;
    if (key === this.eventsShown) return;
    this.eventsShown = key;
    this.events.replaceChildren(...events.map((event) =>
      el("li", {}, el("time", { class: "mono dim", title: ago(event.at, now) }, clock(event.at)), el("span", { class: `change ${event.change}` }, String(event.change)), foreign(String(event.message ?? ""), { class: "event-words" }))));
  }

  focusFilter() {
    this.list.focusFilter();
  }

  /** @param {number} step */
  walk(step) {
    return this.list.walk(step);
  }

  explain() {
    return this.list.explain();
  }

  togglePause() {
    this.list.togglePause();
  }

  escape() {
    return this.list.escape();
  }

  destroy() {
    this.connection.close();
    this.poll.stop();
    this.rates.destroy();
    this.times.destroy();
    this.list.destroy();
  }
}
