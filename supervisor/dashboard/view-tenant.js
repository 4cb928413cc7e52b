// One tenant: what it is, how it does, what went wrong, and its own stream.

import { Connection } from "./connection.js";
import { copyButton, el, foreign, setAttr, setState, setText, statePill } from "./dom.js";
import { ago, bytes, clock, count, duration, micros, NONE, percent, plural, rate } from "./format.js";
import { Feed, decisionOf, missedOf } from "./feed.js";
import { layerWords } from "./layers.js";
import { DecisionList } from "./list.js";
import { askForOne, differenceWords, errorList, evaluationChart, Figure, ownWords, rateChart } from "./parts.js";
import { json, Poll } from "./poll.js";

const CHART_MILLIS = 1_000;
const POLL_MILLIS = 3_000;
/** Lifecycle events that are shown. */
const EVENTS = 20;

/** @param {any} tenant */
function evaluatorWords(tenant) {
  if (!tenant.evaluator) return NONE;
  return tenant.interpreted_because ? `${tenant.evaluator}: ${tenant.interpreted_because}` : String(tenant.evaluator);
}

/** @param {unknown} names */
function ignoredWords(names) {
  return Array.isArray(names) && names.length > 0 ? names.join(", ") : "none";
}

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
    store.follow(id);

    this.state = statePill("");
    this.revision = el("span", { class: "mono" });
    this.copyRevision = copyButton("Copy the revision", () => String(this.tenant?.revision ?? ""));
    this.version = el("span");
    this.off = el("span", { class: "warning-chip", hidden: true }, "Sandbox off");
    this.rate = new Figure("Decisions per second");
    this.deny = new Figure("Denied");
    this.p99 = new Figure("p99 evaluation");
    this.memory = new Figure("Memory");
    this.restarts = new Figure("Restarts");
    this.rates = rateChart();
    this.times = evaluationChart();
    this.facts = el("dl", { class: "facts wide" });
    this.factsShown = "";
    this.layers = el("ul", { class: "layers" });
    this.layersShown = "";
    this.layerCount = el("span", { class: "dim" });
    this.noLayers = el("p", { class: "empty small", hidden: true });
    this.error = el("div");
    this.errorShown = "";
    this.difference = el("div");
    this.warnings = el("div");
    this.warningsShown = "";
    this.events = el("ol", { class: "events", role: "list" });
    this.eventsShown = "";
    this.noEvents = el("p", { class: "empty small" }, "None since this page was opened.");
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
    this.errorPanel = panel("Last error", [], this.error);
    this.differencePanel = panel("Evaluators disagree", [], this.difference);
    this.warningsPanel = panel("Warnings", [], this.warnings);
    this.body = el("div", { class: "tenant-body" },
      el("dl", { class: "figures" }, ...[this.rate, this.deny, this.p99, this.memory, this.restarts].map((figure) => figure.element)),
      this.errorPanel,
      this.differencePanel,
      this.warningsPanel,
      el("div", { class: "charts" }, this.rates.element, this.times.element),
      el("div", { class: "columns" },
        panel("Worker", [], this.facts),
        panel("Lifecycle", [], this.events, this.noEvents),
        panel("Sandbox", [this.layerCount], this.layers, this.noLayers)),
      el("section", { "aria-label": "Decisions" }, el("div", { class: "section-head" }, el("h2", {}, "Decisions"), this.streamState), this.list.element));
    this.gone = el("p", { class: "empty", hidden: true }, "There is no such tenant. It may have been removed. ", el("a", { href: "#/" }, "All tenants"));
    this.element = el("div", { class: "page tenant-page" },
      el("nav", { class: "crumbs", "aria-label": "Path" }, el("a", { href: "#/" }, "Tenants")),
      el("div", { class: "tenant-head" },
        el("h1", { tabindex: "-1" }, foreign(id)), this.state, this.version,
        el("span", { class: "revision" }, this.revision, this.copyRevision), this.off),
      this.gone, this.body);

    const url = streamUrl();
    url.searchParams.set("tenant_id", id);
    this.connect = () =>
      new Connection(url, {
        onText: (text) => this.onText(text),
        onStatus: (status) => {
          if (status.state === "connected") this.feed.connected(Date.now());
        },
      });
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
    /** @type {any} */
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const now = Date.now();
    if (message?.type === "decision") {
      const decision = decisionOf(message.data, text, now);
      if (decision !== null) this.feed.push(decision);
    } else if (message?.type === "lagged") this.feed.lagged(missedOf(message), now);
    else if (message?.type === "tenant") this.poll.kick();
  }

  /** @param {number} now */
  update(now) {
    const { store, id } = this;
    const tenant = this.tenant ?? {};
    const figures = store.figures(id, now);
    setState(this.state, String(tenant.state ?? "starting"));
    setText(this.version, tenant.version ? `Version ${tenant.version}` : "");
    setText(this.revision, tenant.revision ? tenant.revision.slice(0, 12) : "no revision");
    setAttr(this.revision, "title", tenant.revision ?? null);
    this.revision.classList.toggle("mono", Boolean(tenant.revision));
    this.copyRevision.hidden = !tenant.revision;
    this.off.hidden = tenant.sandbox_mode === undefined || tenant.sandbox_mode === "strict";
    this.rate.set(rate(figures.rate), figures.allowRate === null ? (figures.rate === null ? "not known yet" : "from metrics") : `${rate(figures.allowRate)} allow, ${rate(figures.denyRate)} deny`);
    this.deny.set(percent(figures.denyShare), figures.decided === 0 ? "none in the last minute" : `of ${count(figures.decided)}, last minute`);
    this.p99.set(micros(figures.p99), figures.p50 === null ? "no decisions" : `p50 ${micros(figures.p50)}`);
    this.memory.set(bytes(tenant.memory_bytes ?? store.metrics?.tenants.get(id)?.memory), "of the worker");
    const causes = Object.entries(tenant.restarts_by_cause ?? {}).map(([cause, n]) => `${n} ${cause}`);
    this.restarts.set(count(tenant.restarts ?? 0), causes.length === 0 ? "since the start" : causes.join(", "));
    if (now - this.chartedAt >= CHART_MILLIS) {
      this.chartedAt = now;
      this.rates.update(store.rates(id, now));
      this.times.update(store.evaluations(id, now));
      this.setFacts(tenant, now);
    }
    this.setLayers(tenant);
    this.setError(tenant.last_error ?? null, now);
    this.setDifference(tenant.last_difference ?? null, now);
    this.setWarnings(Array.isArray(tenant.warnings) ? tenant.warnings : []);
    this.setEvents(now);
    const { status } = this.connection;
    setText(this.streamState, status.state === "connected" ? "Its own stream" : status.state === "waiting" ? "Reconnecting" : "Connecting");
    this.list.update(now);
  }

  /** @param {any} tenant @param {number} now */
  setFacts(tenant, now) {
    const metrics = this.store.metrics?.tenants.get(this.id);
    const since = Date.parse(tenant.since);
    const sums = (/** @type {Map<string, number>|undefined} */ counts) =>
      [...(counts ?? [])].filter(([, n]) => n > 0).map(([name, n]) => `${name} ${count(n)}`).join(", ");
    const facts = [
      ["State since", Number.isNaN(since) ? NONE : `${clock(since)}, ${ago(since, now)}`],
      ["Process", tenant.pid ? `pid ${tenant.pid}` : "none"],
      ["Uptime", duration(tenant.uptime_millis)],
      ["Processor time", tenant.cpu_millis === undefined ? NONE : `${count(tenant.cpu_millis)} ms`],
      ["Activation", tenant.activation ?? NONE],
      ["Evaluator", evaluatorWords(tenant)],
      ["Ignored files", ignoredWords(tenant.ignored_files)],
      ["Reloads", count(tenant.reloads ?? 0)],
      ["Decisions", metrics ? `${count(metrics.allow)} allow, ${count(metrics.deny)} deny` : NONE],
      ["No decision", sums(metrics?.errors) || "none"],
      ["Limits reached", sums(metrics?.limits) || "none"],
    ];
    const key = facts.join();
    if (key === this.factsShown) return;
    this.factsShown = key;
    this.facts.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  /** @param {any} tenant */
  setLayers(tenant) {
    const names = Array.isArray(tenant.sandbox) ? tenant.sandbox.map(String) : [];
    const key = names.join();
    this.noLayers.hidden = names.length > 0;
    setText(this.noLayers, tenant.sandbox_mode === "debug-off" ? "Switched off. Its worker may do what the supervisor may." : "No worker runs.");
    setText(this.layerCount, names.length === 0 ? "" : plural(names.length, "layer"));
    if (key === this.layersShown) return;
    this.layersShown = key;
    this.layers.replaceChildren(...names.map((/** @type {string} */ name) => el("li", { title: name }, layerWords(name))));
  }

  /** @param {any} error @param {number} now */
  setError(error, now) {
    this.errorPanel.hidden = error === null;
    const key = error === null ? "" : `${error.at} ${error.message} ${ago(Date.parse(error.at), now)}`;
    if (key === this.errorShown) return;
    this.errorShown = key;
    if (error === null) return;
    const list = errorList(error.errors);
    this.error.replaceChildren(
      el("p", { class: "error-head" }, foreign(ownWords(String(error.message ?? ""), error.errors)), el("time", { class: "dim", datetime: String(error.at) }, ago(Date.parse(error.at), now))),
      ...(list === null ? [] : [list]));
  }

  /** @param {any} difference @param {number} now */
  setDifference(difference, now) {
    this.differencePanel.hidden = difference === null;
    if (difference === null) return;
    if (this.difference.firstChild === null) this.difference.append(el("p", { class: "error-head" }));
    setText(/** @type {Element} */ (this.difference.firstChild), differenceWords(difference, now));
  }

  /** @param {any[]} warnings */
  setWarnings(warnings) {
    this.warningsPanel.hidden = warnings.length === 0;
    const key = JSON.stringify(warnings);
    if (key === this.warningsShown) return;
    this.warningsShown = key;
    const list = errorList(warnings);
    this.warnings.replaceChildren(...(list === null ? [] : [list]));
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
