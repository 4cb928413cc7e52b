// Live decisions of all tenants. The filter and the decision that is open are part of the address,
// so they can be shared.

import { el } from "./dom.js";
import { addressOf } from "./inspector.js";
import { DecisionList, ONLY } from "./list.js";
import { askForOne } from "./parts.js";

export class Decisions {
  /** @param {import("./app.js").Context} context @param {URLSearchParams} query @param {string} wanted a decision's id; empty for none */
  constructor({ store }, query, wanted) {
    this.store = store;
    this.title = "Decisions";
    this.wanted = wanted;
    this.said = "";
    const only = query.get("only") ?? "";
    const filter = { tenant: query.get("tenant") ?? "", text: query.get("text") ?? "", only: Object.hasOwn(ONLY, only) ? only : "" };
    this.notice = el("section", { class: "panel notice", "aria-label": "The decision that was asked for", hidden: true });
    this.list = new DecisionList({
      feed: store.feed,
      store,
      oneTenant: false,
      filter,
      onFilter: () => this.setAddress(),
      onShow: (entry) => {
        this.wanted = entry?.eventId ?? "";
        this.setAddress();
      },
      empty: () => askForOne([...store.tenants.keys()][0] ?? "tenant_a"),
    });
    this.element = el("div", { class: "page" }, el("h1", { tabindex: "-1" }, "Decisions"), this.notice, this.list.element);
  }

  /** Not a step of the history: Back leads to the page before. */
  setAddress() {
    const set = Object.entries(this.list.filter).filter(([, value]) => value !== "");
    const text = new URLSearchParams(set).toString();
    history.replaceState(null, "", `${this.wanted === "" ? "#/decisions" : addressOf(this.wanted)}${text === "" ? "" : `?${text}`}`);
  }

  /** @param {number} now */
  update(now) {
    this.list.update(now);
    this.find();
  }

  /** The decision of the address: it is opened once it is there, and said to be missing until then. */
  find() {
    const shown = this.list.inspector.shown?.eventId ?? "";
    const entry = this.wanted === "" || this.wanted === shown ? null : this.store.feed.find(this.wanted);
    if (entry !== null) this.list.open(entry);
    const missing = this.wanted !== "" && this.wanted !== (this.list.inspector.shown?.eventId ?? "");
    this.notice.hidden = !missing;
    const said = !missing ? "" : `${this.wanted} ${this.store.settled}`;
    if (said === this.said) return;
    this.said = said;
    if (!missing) this.notice.replaceChildren();
    else if (!this.store.settled) this.notice.replaceChildren(el("p", {}, "Looking for decision ", el("span", { class: "mono" }, this.wanted), "."));
    else {
      this.notice.replaceChildren(
        el("p", {}, "This page does not know decision ", el("bdi", { class: "mono" }, this.wanted), "."),
        el("p", { class: "dim" }, "It keeps the last 5,000 decisions that it received, and the supervisor remembers the last 20 of each tenant. An older decision is in the supervisor's log, as the line with this decision_id."),
        el("p", {}, el("a", { href: "#/decisions" }, "Show all decisions")));
    }
  }

  focusFilter() {
    this.list.focusFilter();
  }

  explain() {
    return this.list.explain();
  }

  togglePause() {
    this.list.togglePause();
  }

  /** @param {number} step */
  walk(step) {
    return this.list.walk(step);
  }

  escape() {
    return this.list.escape();
  }

  destroy() {
    this.list.destroy();
  }
}
