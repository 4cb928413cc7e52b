// What is counted over time, of one tenant or of all: bounded, however many decisions come.

import { Counts, Evaluations } from "./quantiles.js";

/** What the charts show. */
export const CHART_SECONDS = 900;
/** Seconds of one point: those of the server's history. */
export const WIDTH = 5;
/** What "now" is: long enough not to flicker, short enough to follow. */
export const NOW_SECONDS = 5;
/** What shares and quantiles are taken over. */
export const MINUTE = 60;
/** What the last minute is compared with. */
const BEFORE_SECONDS = 600;

export class Stats {
  constructor() {
    this.recent = new Counts(NOW_SECONDS + 3, 1);
    this.counts = new Counts(CHART_SECONDS / WIDTH + 1, WIDTH);
    /** Evaluation times of half a minute to a minute, in little room. */
    this.rolling = new Evaluations(2, MINUTE / 2);
    /** @type {Evaluations|null} */
    this.detailed = null;
    /** Decisions a second by /v1/overview, where there is no stream. @type {number|null} */
    this.polledRate = null;
  }

  detail() {
    this.detailed ??= new Evaluations(CHART_SECONDS / WIDTH + 1, WIDTH);
    return this.detailed;
  }

  /** @param {number} second @param {number} kind @param {number} n */
  count(second, kind, n) {
    this.recent.add(second, kind, n);
    this.counts.add(second, kind, n);
  }

  /** @param {number} second @param {number} bucket @param {number} n */
  evaluated(second, bucket, n) {
    this.rolling.add(second, bucket, n);
    this.detailed?.add(second, bucket, n);
  }

  /**
   * Allowed and denied in the last minute, and in the ten minutes before it; whole points only.
   * @param {number} second now
   * @param {number} least decisions that the last minute needs, or the others are not read
   * @returns {{last: [number, number], before: [number, number]|null}}
   */
  compared(second, least = 1) {
    const end = Math.floor(second / WIDTH);
    const middle = end - MINUTE / WIDTH;
    const [allow, deny] = this.counts.sum(middle, end - 1);
    if (allow + deny < least) return { last: [allow, deny], before: null };
    const [allowBefore, denyBefore] = this.counts.sum(middle - BEFORE_SECONDS / WIDTH, middle - 1);
    return { last: [allow, deny], before: [allowBefore, denyBefore] };
  }
}
