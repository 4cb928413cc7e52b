// A tenant's quotas, and how much of each is used.

import { el, setAttr, setText } from "./dom.js";
import { bytes, count } from "./format.js";

/** A share of a quota from which on it is warned of: the supervisor's. */
const NEARLY = 0.8;

/** @type {Record<string, {name: string, unit: (n: number) => string}>} */
const WORDS = {
  decisions_per_second: { name: "Decisions", unit: count },
  body_bytes_per_second: { name: "Bytes of bodies", unit: bytes },
  concurrent_requests: { name: "Requests in progress", unit: count },
  stream_consumers: { name: "Consumers of its stream", unit: count },
};

/**
 * @typedef {object} QuotaFact
 * @property {string} key
 * @property {string} name
 * @property {string} use
 * @property {string} note
 * @property {number} used
 * @property {number} limit
 */

/** @param {Record<string, any>|undefined} quotas of `/v1/tenants/{id}` @returns {QuotaFact[]} */
export function quotaFacts(quotas) {
  return Object.entries(quotas ?? {}).map(([key, quota]) => {
    const { name, unit } = Object.hasOwn(WORDS, key) ? WORDS[key] : { name: key, unit: count };
    const [used, limit] = [Number(quota?.used) || 0, Number(quota?.window_limit) || 0];
    const rate = quota?.window_seconds ? `, ${unit(Number(quota.limit) || 0)} a second` : "";
    const refused = Number(quota?.exceeded) || 0;
    return {
      key, name, used, limit,
      use: `${unit(used)} of ${unit(limit)} ${quota?.window_seconds ? "in the last minute" : "now"}`,
      note: `${refused === 0 ? "none refused" : `${count(refused)} refused since the start`}${rate}`,
    };
  });
}

/** Bars of use, changed in place. */
export class QuotaBars {
  constructor() {
    this.element = el("dl", { class: "facts wide quotas" });
    /** @type {Map<string, {meter: HTMLMeterElement, use: HTMLElement, note: HTMLElement}>} */
    this.bars = new Map();
    this.shown = "";
  }

  /** @param {QuotaFact[]} facts */
  fill(facts) {
    const keys = facts.map((fact) => fact.key).join();
    if (keys !== this.shown) {
      this.shown = keys;
      this.bars.clear();
      this.element.replaceChildren(...facts.map(({ key, name }) => {
        const bar = { meter: /** @type {HTMLMeterElement} */ (el("meter", { min: "0", "aria-label": name })), use: el("span"), note: el("span", { class: "dim" }) };
        this.bars.set(key, bar);
        return el("div", {}, el("dt", {}, name), el("dd", {}, bar.meter, bar.use, bar.note));
      }));
    }
    for (const { key, use, note, used, limit } of facts) {
      const bar = this.bars.get(key);
      if (bar === undefined) continue;
      setAttr(bar.meter, "max", String(limit));
      setAttr(bar.meter, "high", String(limit * NEARLY));
      setAttr(bar.meter, "low", String(limit * NEARLY));
      setAttr(bar.meter, "optimum", "0");
      setAttr(bar.meter, "value", String(Math.min(used, limit)));
      setText(bar.use, use);
      setText(bar.note, note);
    }
  }
}
