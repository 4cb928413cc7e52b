// The table of tenants. A page of it is drawn, so ten thousand tenants cost what fifty do.

import { Spark } from "./chart.js";
import { el, glyph, setAttr, setState, setText, statePill } from "./dom.js";
import { bytes, count, cut, micros, NONE, percent, plural, rate, shortRevision } from "./format.js";
import { troubleOf } from "./parts.js";
import { stateOrder, stateWords } from "./states.js";
import { WIDTH } from "./stats.js";

/** Rows of one page. */
const PAGE = 50;
/** Rows that change places while one reads are worse than rows that are a little late. */
const SORT_MILLIS = 2_000;
const DRAW_MILLIS = 1_000;
/** Rows stay where they are under a pointer that moves; one that was left there is nobody's. */
const HOLD_MILLIS = 3_000;
const MAX_TITLE = 300;

/** @param {string} a @param {string} b */
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} name
 * @property {boolean} [number]
 * @property {boolean} [descending] the order of the first click
 * @property {((row: Source) => any)|null} value what it is sorted by; null: it is not
 *
 * @typedef {{tenant: any, figures: import("./store.js").Figures, memory: number|null}} Source
 */

/** @type {Column[]} */
const COLUMNS = [
  { key: "tenant", name: "Tenant", value: (row) => row.tenant.tenant_id },
  { key: "state", name: "State", value: (row) => 2 * stateOrder(row.tenant.state) - (isMarked(row.tenant) ? 1 : 0) },
  { key: "version", name: "Version", value: (row) => row.tenant.version ?? "" },
  { key: "revision", name: "Revision", value: (row) => row.tenant.revision ?? "" },
  { key: "spark", name: "Last 15 min", value: null },
  { key: "rate", name: "Per second", number: true, descending: true, value: (row) => row.figures.rate ?? -1 },
  { key: "deny", name: "Denied", number: true, descending: true, value: (row) => row.figures.denyShare ?? -1 },
  { key: "errors", name: "Errors", number: true, descending: true, value: (row) => row.figures.errors },
  { key: "p50", name: "p50", number: true, descending: true, value: (row) => row.figures.p50 ?? -1 },
  { key: "p99", name: "p99", number: true, descending: true, value: (row) => row.figures.p99 ?? -1 },
  { key: "memory", name: "Memory", number: true, descending: true, value: (row) => row.memory ?? -1 },
  { key: "restarts", name: "Restarts", number: true, descending: true, value: (row) => row.tenant.restarts ?? 0 },
];

/** Whether it is marked beside its state: it serves, but something is wrong. @param {any} tenant */
function isMarked(tenant) {
  return tenant.state !== "rejected" && (troubleOf(tenant, 0) !== null || isOpen(tenant));
}

/** Whether its worker runs without a sandbox. A tenant without a worker has no layers, and that is no warning. @param {any} tenant */
function isOpen(tenant) {
  return tenant.sandbox_mode !== undefined && tenant.sandbox_mode !== "strict";
}

/** What a column's name is too short for. @type {Record<string, string>} */
const TITLES = {
  rate: "Decisions per second, in the last 5 seconds",
  deny: "Share of denials in the last minute",
  errors: "Requests of the last minute that failed: errors of the server or of the policy",
  p50: "Half of the evaluations of the last minute took no longer than this",
  p99: "99 of 100 evaluations of the last minute took no longer than this",
  restarts: "How often a worker ended unasked since the supervisor started",
};

class Row {
  constructor() {
    this.link = el("a");
    this.state = statePill("");
    this.spark = new Spark();
    this.drawn = "";
    this.share = el("span", { class: "share", "aria-hidden": "true" }, el("i"));
    this.shareText = el("span");
    /** @type {Record<string, any>} */
    this.cells = {};
    for (const column of COLUMNS) {
      const tag = column.key === "tenant" ? "th" : "td";
      this.cells[column.key] = el(tag, {
        class: `${column.number ? "number " : ""}col-${column.key}`,
        role: tag === "th" ? "rowheader" : "cell",
        scope: tag === "th" ? "row" : null,
        "data-label": column.name,
      });
    }
    this.cells.tenant.append(this.link);
    this.trouble = el("span", { class: "trouble", role: "img", "aria-label": "with an error or a warning", hidden: true }, glyph("backoff"));
    this.cells.state.append(this.state, this.trouble);
    this.cells.spark.append(this.spark.element);
    this.cells.deny.append(this.share, this.shareText);
    this.cells.revision.classList.add("mono");
    this.element = el("tr", { role: "row" }, ...COLUMNS.map((column) => this.cells[column.key]));
    this.element.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      // A click anywhere opens it; on the link the browser does, and marked text is left alone.
      if (event.target === this.link || String(getSelection()) !== "") return;
      location.hash = this.link.hash;
    });
  }

  /** @param {Source} source @param {import("./store.js").Store} store @param {number} now */
  fill(source, store, now) {
    const { tenant, figures, memory } = source;
    setText(this.link, tenant.tenant_id);
    setAttr(this.link, "href", `#/tenant/${encodeURIComponent(tenant.tenant_id)}`);
    setState(this.state, String(tenant.state));
    setAttr(this.state, "title", stateWords(String(tenant.state)));
    // One whose new bundle was rejected serves on with the old one, and looks well otherwise.
    const trouble = isOpen(tenant) ? "Its worker runs without a sandbox" : troubleOf(tenant, now);
    this.trouble.hidden = !isMarked(tenant);
    setAttr(this.trouble, "title", trouble === null ? null : cut(trouble, MAX_TITLE));
    setText(this.cells.version, tenant.version ?? NONE);
    setText(this.cells.revision, shortRevision(tenant.revision));
    setAttr(this.cells.revision, "title", tenant.revision ?? null);
    // Its points are of five seconds, and fifty rows of them are some work.
    const drawn = `${tenant.tenant_id} ${Math.floor(now / 1000 / WIDTH)} ${store.feed.prefills}`;
    if (drawn !== this.drawn) this.spark.update(store.rates(tenant.tenant_id, now));
    this.drawn = drawn;
    setText(this.cells.rate, rate(figures.rate));
    this.cells.rate.classList.toggle("zero", !figures.rate);
    setText(this.shareText, percent(figures.denyShare));
    this.share.firstChild.style.width = `${(figures.denyShare ?? 0) * 100}%`;
    this.share.classList.toggle("unknown", figures.denyShare === null);
    setText(this.cells.errors, count(figures.errors));
    this.cells.errors.classList.toggle("some", figures.errors > 0);
    this.cells.errors.classList.toggle("zero", figures.errors === 0);
    setText(this.cells.p50, micros(figures.p50));
    setText(this.cells.p99, micros(figures.p99));
    setText(this.cells.memory, bytes(memory));
    setText(this.cells.restarts, count(tenant.restarts ?? 0));
    this.cells.restarts.classList.toggle("some", tenant.restarts > 0);
    this.cells.restarts.classList.toggle("zero", !(tenant.restarts > 0));
  }
}

export class TenantTable {
  /** @param {import("./store.js").Store} store @param {() => HTMLElement} empty */
  constructor(store, empty) {
    this.store = store;
    this.sort = "state";
    this.descending = false;
    this.page = 0;
    this.text = "";
    /** @type {string[]} */
    this.order = [];
    this.sortedAt = 0;
    this.heldUntil = 0;
    /** How many tenants there were then. */
    this.arranged = 0;
    this.drawnAt = 0;
    this.version = -1;
    /** @type {Row[]} */
    this.rows = [];
    this.filter = el("input", { type: "search", placeholder: "Filter tenants", "aria-label": "Filter tenants by id, state, version or revision", spellcheck: "false", autocomplete: "off" });
    this.filter.addEventListener("input", () => {
      this.text = this.filter.value.trim().toLowerCase();
      this.page = 0;
      this.refresh();
    });
    this.pick = el("select", { class: "sort-pick", "aria-label": "Sort tenants by" },
      ...COLUMNS.filter((column) => column.value !== null).map((column) => el("option", { value: column.key }, `Sort: ${column.name}`)));
    this.pick.value = this.sort;
    this.pick.addEventListener("change", () => {
      this.sort = this.pick.value;
      this.descending = COLUMNS.find((column) => column.key === this.sort)?.descending ?? false;
      this.refresh();
    });
    /** @type {Map<string, any>} */
    this.heads = new Map();
    const heads = COLUMNS.map((column) => {
      const label = column.value === null ? column.name : el("button", { type: "button", on: { click: () => this.sortBy(column) } }, column.name);
      const head = el("th", { role: "columnheader", scope: "col", class: `${column.number ? "number " : ""}col-${column.key}`, title: TITLES[column.key] ?? null }, label);
      this.heads.set(column.key, head);
      return head;
    });
    this.body = el("tbody", { role: "rowgroup", "data-walk": true });
    this.body.addEventListener("pointermove", () => {
      this.heldUntil = Date.now() + HOLD_MILLIS;
    });
    this.table = el("table", { role: "table", class: "tenants", "aria-label": "Tenants" }, el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), this.body);
    this.summary = el("span", { class: "dim", role: "status" });
    this.back = el("button", { type: "button", class: "quiet", on: { click: () => this.turn(-1) } }, "Previous");
    this.next = el("button", { type: "button", class: "quiet", on: { click: () => this.turn(1) } }, "Next");
    this.nothing = el("div", { class: "empty", hidden: true });
    this.empty = empty();
    this.pager = el("nav", { class: "pager", "aria-label": "Pages of tenants" }, this.back, this.next);
    this.element = el("section", { class: "panel tenants-panel", "aria-labelledby": "tenants-title" },
      el("header", { class: "panel-head" }, el("h2", { id: "tenants-title" }, "Tenants"), this.summary, this.pick, this.filter),
      this.table, this.nothing, this.empty, this.pager);
    this.markSort();
  }

  /** To the next tenant, or the one before. @param {number} step @returns {boolean} */
  walk(step) {
    const at = this.rows.findIndex((row) => row.link === document.activeElement);
    if (this.rows.length === 0) return false;
    this.rows[at < 0 ? 0 : at + step]?.link.focus();
    return true;
  }

  /** @param {Column} column */
  sortBy(column) {
    this.descending = this.sort === column.key ? !this.descending : (column.descending ?? false);
    this.sort = column.key;
    this.pick.value = this.sort;
    this.refresh();
  }

  markSort() {
    for (const [key, head] of this.heads) {
      setAttr(head, "aria-sort", key === this.sort ? (this.descending ? "descending" : "ascending") : null);
    }
  }

  /** @param {number} by */
  turn(by) {
    this.page += by;
    this.refresh();
    this.element.scrollIntoView({ block: "start" });
  }

  refresh() {
    this.markSort();
    this.sortedAt = 0;
    this.drawnAt = 0;
    this.update(Date.now());
  }

  /** @param {any} tenant @param {number} now @returns {Source} */
  source(tenant, now) {
    const { store } = this;
    /** @type {import("./store.js").Figures|undefined} */
    let figures;
    return {
      tenant,
      // Most orders do not need them, and of ten thousand tenants they are some work.
      get figures() {
        figures ??= store.figures(tenant.tenant_id, now);
        return figures;
      },
      memory: this.store.host?.tenants.get(tenant.tenant_id)?.memory ?? null,
    };
  }

  /** @param {number} now */
  arrange(now) {
    const column = COLUMNS.find((c) => c.key === this.sort) ?? COLUMNS[0];
    const value = column.value ?? (() => 0);
    const found = [];
    for (const tenant of this.store.tenants.values()) {
      if (this.text !== "" && !matches(tenant, this.text)) continue;
      found.push({ id: tenant.tenant_id, value: value(this.source(tenant, now)) });
    }
    const sign = this.descending ? -1 : 1;
    found.sort((a, b) => sign * (typeof a.value === "number" ? a.value - b.value : byText(a.value, b.value)) || byText(a.id, b.id));
    this.order = found.map((row) => row.id);
    this.arranged = this.store.tenants.size;
  }

  /** @param {number} now */
  update(now) {
    const changed = this.version !== this.store.tenantsVersion;
    if (!changed && now - this.drawnAt < DRAW_MILLIS) return;
    const busy = now < this.heldUntil || this.body.matches(":has(:focus-visible)");
    const others = this.store.tenants.size !== this.arranged;
    if (this.sortedAt === 0 || others || (now - this.sortedAt >= SORT_MILLIS && !busy)) {
      this.arrange(now);
      this.sortedAt = now;
    }
    this.version = this.store.tenantsVersion;
    this.drawnAt = now;
    const pages = Math.max(1, Math.ceil(this.order.length / PAGE));
    this.page = Math.min(pages - 1, Math.max(0, this.page));
    const shown = this.order.slice(this.page * PAGE, (this.page + 1) * PAGE).filter((id) => this.store.tenants.has(id));
    while (this.rows.length > shown.length) this.rows.pop()?.element.remove();
    while (this.rows.length < shown.length) {
      const row = new Row();
      this.rows.push(row);
      this.body.append(row.element);
    }
    for (const [i, id] of shown.entries()) this.rows[i].fill(this.source(this.store.tenants.get(id), now), this.store, now);
    const total = this.store.tenants.size;
    const from = this.page * PAGE + 1;
    const some = this.order.length;
    setText(this.summary,
      !this.store.listed ? "Loading"
      : pages > 1 ? `${count(from)}–${count(from + shown.length - 1)} of ${count(some)}`
      : this.text !== "" ? `${count(some)} of ${count(total)}`
      : plural(total, "tenant"));
    this.pager.hidden = pages === 1;
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    this.table.hidden = some === 0;
    this.nothing.hidden = some > 0 || total === 0;
    setText(this.nothing, "No tenant matches the filter.");
    this.empty.hidden = total > 0 || !this.store.listed;
  }
}

/** @param {any} tenant @param {string} text in lower case */
function matches(tenant, text) {
  return (
    tenant.tenant_id.toLowerCase().includes(text) ||
    String(tenant.state).startsWith(text) ||
    (tenant.revision ?? "").startsWith(text) ||
    (tenant.version ?? "").toLowerCase().includes(text)
  );
}
