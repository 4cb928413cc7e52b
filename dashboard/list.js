// The list of live decisions: filters, pause, and the newest on top. It draws what fits a reader,
// however many come: rows are moved and refilled, a few times a second.

import { el, setAttr, setText } from "./dom.js";
import { matcher } from "./feed.js";
import { count } from "./format.js";
import { Inspector } from "./inspector.js";
import { Row } from "./row.js";

/** Rows at first, and with every "Show more". */
const ROWS = 100;
/** Rows on the page at most. A filter finds older decisions faster than scrolling. */
const MAX_ROWS = 1_000;
/** The list holds still under the pointer, or no row could be hit; but not under one that was left there. */
const HOLD_MILLIS = 5_000;
/** Pixels between the header and what is scrolled to. */
const ROOM = 16;
/** Typing is waited for before thousands of decisions are searched. */
const TYPING_MILLIS = 150;
/** Ids offered while one types a tenant. */
const MAX_SUGGESTED = 200;

/** What is shown of each kind, and its name. */
export const ONLY = { "": "All", allow: "Allowed", deny: "Denied", error: "Errors" };

/**
 * @typedef {{tenant: string, only: string, text: string}} Filter
 * @typedef {import("./feed.js").Decision|import("./feed.js").Failure} Shown
 */

export class DecisionList {
  /**
   * @param {object} options
   * @param {import("./feed.js").Feed} options.feed
   * @param {import("./store.js").Store} options.store
   * @param {Filter} options.filter
   * @param {boolean} options.oneTenant no filter and no column for the tenant
   * @param {(filter: Filter) => void} options.onFilter
   * @param {() => HTMLElement} options.empty what stands where no decision ever came
   * @param {(entry: Shown|null) => void} [options.onShow] when a decision is opened, or closed again
   */
  constructor({ feed, store, filter, oneTenant, onFilter, empty, onShow = () => {} }) {
    this.source = feed;
    this.store = store;
    this.filter = filter;
    this.onFilter = onFilter;
    this.onShow = onShow;
    this.feed = feed;
    this.prefills = feed.prefills;
    this.matches = matcher({});
    this.paused = false;
    this.heldUntil = 0;
    /** What is shown while the list stands still. @type {import("./feed.js").Entry[]|null} */
    this.frozen = null;
    /** All there was when it was paused, for other filters. @type {import("./feed.js").Entry[]|null} */
    this.frozenAll = null;
    this.frozenAt = 0;
    this.most = ROWS;
    /** @type {Row[]} */
    this.rows = [];
    this.drawn = "";

    this.search = el("input", { type: "search", class: "filter-text", placeholder: "Filter by reason, input or id", "aria-label": "Filter by reason, input or id", spellcheck: "false", autocomplete: "off" });
    this.search.value = filter.text;
    this.tenant = el("input", { type: "search", class: "filter-tenant", placeholder: "Tenant", "aria-label": "Filter by tenant", list: "tenant-ids", spellcheck: "false", autocomplete: "off" });
    this.tenant.value = filter.tenant;
    this.suggestions = el("datalist", { id: "tenant-ids" });
    let typing = 0;
    const typed = () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.setFilter({ ...this.filter, text: this.search.value.trim(), tenant: this.tenant.value.trim() }), TYPING_MILLIS);
    };
    this.search.addEventListener("input", typed);
    this.tenant.addEventListener("input", typed);
    this.tenant.addEventListener("focus", () => {
      const ids = [...store.tenants.keys()].slice(0, MAX_SUGGESTED);
      this.suggestions.replaceChildren(...ids.map((id) => el("option", { value: id })));
    });
    this.only = Object.entries(ONLY).map(([value, name]) => {
      const radio = el("input", { type: "radio", name: "only", value, on: { change: () => this.setFilter({ ...this.filter, only: value }) } });
      radio.checked = filter.only === value;
      return el("label", {}, radio, el("span", {}, name));
    });
    this.pauseButton = el("button", { type: "button", class: "pause", "aria-pressed": "false", on: { click: () => this.togglePause() } }, "Pause");
    this.note = el("span", { class: "list-note dim" });
    this.resume = el("button", { type: "button", class: "quiet resume", on: { click: () => this.release() } });
    this.list = el("ol", { class: `decisions${oneTenant ? " one-tenant" : ""}`, role: "list", "aria-label": "Decisions, newest first", "data-walk": true });
    this.more = el("button", { type: "button", class: "quiet more", on: { click: () => this.showMore() } }, "Show more");
    this.nothing = el("p", { class: "empty", hidden: true });
    this.emptyState = empty();
    this.inspector = new Inspector(() => {
      this.split.classList.remove("open");
      this.onShow(null);
      this.mark();
      this.focusRow(this.lastOpened);
    });
    /** @type {import("./feed.js").Entry|null} */
    this.lastOpened = null;
    this.split = el("div", { class: "split" },
      el("div", { class: "list-side" }, this.list, this.nothing, this.emptyState, this.more),
      this.inspector.element);
    this.element = el("div", { class: "decision-list" },
      el("div", { class: "toolbar" },
        this.search, oneTenant ? null : this.tenant, oneTenant ? null : this.suggestions,
        el("fieldset", { class: "segments" }, el("legend", { class: "off-screen" }, "Decisions"), ...this.only),
        this.pauseButton, this.note, this.resume),
      this.split);
    const hold = () => {
      this.heldUntil = Date.now() + HOLD_MILLIS;
    };
    this.list.addEventListener("pointermove", hold);
    this.list.addEventListener("pointerdown", hold);
    this.list.addEventListener("pointerleave", () => {
      this.heldUntil = 0;
    });
    this.apply();
  }

  /** @param {Filter} filter */
  setFilter(filter) {
    this.filter = filter;
    this.onFilter(filter);
    this.apply();
  }

  apply() {
    this.feed.close();
    const { tenant, only, text } = this.filter;
    this.filtering = tenant !== "" || only !== "" || text !== "";
    this.matches = matcher({ ...this.filter, exact: this.store.tenants.has(tenant) });
    this.feed = this.filtering ? this.source.filtered(this.matches) : this.source;
    if (this.frozenAll !== null) {
      this.frozen = this.frozenAll.filter(this.matches);
      this.frozenAt = this.feed.added;
    }
    this.most = ROWS;
    this.drawn = "";
    this.update(Date.now());
  }

  togglePause() {
    this.paused = !this.paused;
    if (this.paused) this.freeze();
    else this.frozenAll = null;
    setAttr(this.pauseButton, "aria-pressed", String(this.paused));
    setText(this.pauseButton, this.paused ? "Resume" : "Pause");
    this.update(Date.now());
  }

  freeze() {
    this.frozen ??= this.feed.all();
    this.frozenAt = this.feed.added;
    if (this.paused) this.frozenAll = this.source.all();
  }

  /** Back to the newest. */
  release() {
    this.heldUntil = 0;
    const focused = /** @type {HTMLElement|null} */ (document.activeElement);
    if (this.list.contains(focused)) focused?.blur();
    if (this.paused) this.togglePause();
    const top = this.element.getBoundingClientRect().top;
    const head = document.querySelector("header.top")?.getBoundingClientRect().bottom ?? 0;
    if (top < head) scrollBy({ top: top - head - ROOM });
    this.update(Date.now());
  }

  /** Whether somebody is reading, so that nothing may move. @param {number} now */
  held(now) {
    return this.paused || now < this.heldUntil || this.list.matches(":has(:focus-visible)") || this.list.getBoundingClientRect().top < -60;
  }

  showMore() {
    this.most = Math.min(MAX_ROWS, this.most + 2 * ROWS);
    this.drawn = "";
    this.update(Date.now());
  }

  /** @param {number} now */
  update(now) {
    if (this.prefills !== this.source.prefills) {
      this.prefills = this.source.prefills;
      this.frozen = null;
      this.apply();
      return;
    }
    const held = this.held(now);
    if (held && this.frozen === null) this.freeze();
    if (!held) this.frozen = null;
    const missed = held ? this.feed.added - this.frozenAt : 0;
    this.announce(held, missed);
    const entries = this.frozen ?? this.feed.entries;
    const head = this.frozen === null ? this.feed.head : 0;
    const last = entries.length - 1;
    const many = Math.min(this.most, entries.length - head);
    const newest = entries[last];
    const key = `${newest?.id ?? 0} ${many} ${newest?.kind === "gap" ? newest.missed : 0}`;
    if (key === this.drawn) return;
    this.drawn = key;
    // Rows that fall off the end are the ones that come in at the top: few are touched.
    const first = this.rows[0]?.entry?.id ?? Infinity;
    let fresh = 0;
    while (fresh < many && (entries[last - fresh]?.id ?? 0) > first) fresh += 1;
    while (this.rows.length > many) this.rows.pop()?.element.remove();
    const moved = fresh < many && fresh > 0 ? Math.max(0, this.rows.length + fresh - many) : 0;
    const incoming = fresh < many ? this.rows.splice(this.rows.length - moved, moved) : [];
    if (fresh < many) while (incoming.length < fresh) incoming.push(new Row((entry) => this.open(entry)));
    this.list.prepend(...incoming.map((row) => row.element));
    this.rows.unshift(...incoming);
    while (this.rows.length < many) {
      const row = new Row((entry) => this.open(entry));
      this.rows.push(row);
      this.list.append(row.element);
    }
    for (let i = 0; i < many; i += 1) this.rows[i].fill(/** @type {any} */ (entries[last - i]));
    this.mark();
    const nothing = many === 0;
    const never = nothing && !this.filtering && !this.paused;
    this.list.hidden = nothing;
    this.emptyState.hidden = !never;
    this.nothing.hidden = !nothing || never;
    setText(this.nothing, this.filtering ? "No decision matches the filter. Matching ones appear here as they are made." : "No decisions yet.");
    this.more.hidden = entries.length - head <= many || many >= MAX_ROWS;
  }

  /** @param {boolean} held @param {number} missed */
  announce(held, missed) {
    setText(this.note, this.paused ? "Paused" : held ? "Held while you read" : `${count(this.feed.events)} ${this.filtering ? "found" : "received"}`);
    setText(this.resume, missed > 0 ? `Show ${count(missed)} new` : "Back to live");
    this.resume.classList.toggle("unseen", !held || (missed === 0 && !this.paused));
  }

  /** One row takes part in the order of tabs, and the open one is marked. */
  mark() {
    let stop = false;
    for (const row of this.rows) {
      const focused = row.button === document.activeElement;
      if (focused) stop = true;
      setAttr(row.button, "aria-current", row.entry !== null && row.entry === this.inspector.shown ? "true" : null);
      setAttr(row.button, "tabindex", focused ? "0" : "-1");
    }
    if (!stop) this.rows.find((row) => row.entry !== null && row.entry.kind !== "gap")?.button.setAttribute("tabindex", "0");
  }

  /** To the next row, or the one before; what is open follows. @param {number} step @returns {boolean} */
  walk(step) {
    const rows = this.rows.filter((row) => row.entry !== null && row.entry.kind !== "gap");
    if (rows.length === 0 || this.list.hidden) return false;
    const { shown } = this.inspector;
    let at = rows.findIndex((row) => row.button === document.activeElement);
    if (at < 0 && shown !== null) at = rows.findIndex((row) => row.entry === shown);
    const row = rows[at < 0 ? 0 : at + step];
    if (row === undefined) return true;
    row.button.focus();
    if (shown !== null) this.open(/** @type {Shown} */ (row.entry), false);
    this.mark();
    return true;
  }

  /** @param {import("./feed.js").Entry|null} entry */
  focusRow(entry) {
    const row = this.rows.find((r) => r.entry === entry) ?? this.rows[0];
    row?.button.focus({ preventScroll: true });
  }

  /** @param {Shown} entry @param {boolean} [focus] */
  open(entry, focus = true) {
    this.lastOpened = entry;
    this.split.classList.add("open");
    this.inspector.show(entry, focus);
    this.onShow(entry);
    this.mark();
  }

  /** @returns {boolean} whether a decision is open that can be explained */
  explain() {
    return this.inspector.explain();
  }

  focusFilter() {
    this.search.focus();
    this.search.select();
  }

  /** @returns {boolean} whether there was something to close */
  escape() {
    return this.inspector.close();
  }

  destroy() {
    this.inspector.destroy();
    this.feed.close();
  }
}
