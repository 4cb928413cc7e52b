// Live decisions of all tenants. The filter is part of the address, so it can be shared.

import { el } from "./dom.js";
import { DecisionList } from "./list.js";
import { askForOne } from "./parts.js";

export class Decisions {
  /** @param {import("./app.js").Context} context @param {URLSearchParams} query */
  constructor({ store }, query) {
    this.title = "Decisions";
    const only = query.get("only") ?? "";
    this.list = new DecisionList({
      feed: store.feed,
      store,
      oneTenant: false,
      filter: { tenant: query.get("tenant") ?? "", text: query.get("text") ?? "", only: ["allow", "deny"].includes(only) ? only : "" },
      onFilter: (filter) => {
        const set = Object.entries(filter).filter(([, value]) => value !== "");
        const text = new URLSearchParams(set).toString();
        // Not a step of the history: Back leads to the page before.
        history.replaceState(null, "", `#/decisions${text === "" ? "" : `?${text}`}`);
      },
      empty: () => askForOne([...store.tenants.keys()][0] ?? "tenant_a"),
    });
    this.element = el("div", { class: "page" }, el("h1", { tabindex: "-1" }, "Decisions"), this.list.element);
  }

  /** @param {number} now */
  update(now) {
    this.list.update(now);
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
    this.list.destroy();
  }
}
