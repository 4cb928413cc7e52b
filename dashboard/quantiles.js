// Bounded counting over time: what a dashboard that is open all day may keep of every decision.
// Slots are stamped with the time that they stand for, so nothing has to run while no decision
// comes, and a tab whose timers are held back counts as well as any other.

/** Buckets an octave: a quantile is off by 2.2 % at most, which no eye sees in a figure. */
const PER_OCTAVE = 16;
/** 1 µs to 67 s, which is beyond the longest evaluation that can be configured. */
export const BUCKETS = 26 * PER_OCTAVE;

/** @param {number} micros */
export function bucketOf(micros) {
  if (!(micros > 1)) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(micros) * PER_OCTAVE));
}

/** The middle of a bucket, in microseconds. @param {number} bucket */
export function microsOf(bucket) {
  return 2 ** ((bucket + 0.5) / PER_OCTAVE);
}

/**
 * @param {ArrayLike<number>} counts of each bucket
 * @param {number} q between 0 and 1
 * @returns {number|null} microseconds; null where nothing was counted
 */
export function quantile(counts, q) {
  let total = 0;
  for (let i = 0; i < BUCKETS; i += 1) total += counts[i];
  if (total === 0) return null;
  const rank = Math.max(1, Math.ceil(q * total));
  let seen = 0;
  for (let i = 0; i < BUCKETS; i += 1) {
    seen += counts[i];
    if (seen >= rank) return microsOf(i);
  }
  return microsOf(BUCKETS - 1);
}

/**
 * The buckets of a coarse histogram of the server's, spread over the fine ones: evenly, as nothing
 * more is known. The last count is of all above the last bound.
 * @param {ArrayLike<number>} counts @param {number[]} bounds microseconds
 * @param {(bucket: number, n: number) => void} add
 */
export function spread(counts, bounds, add) {
  for (let i = 0; i < Math.min(counts.length, bounds.length + 1); i += 1) {
    const n = Number(counts[i]) || 0;
    if (n <= 0) continue;
    const upper = bounds[i] ?? bounds[i - 1] * 2;
    const from = bucketOf(i === 0 ? upper / 2 : bounds[i - 1]);
    const wide = Math.max(1, bucketOf(upper) - from);
    let given = 0;
    for (let cell = 0; cell < wide; cell += 1) {
      const due = Math.round(((cell + 1) * n) / wide);
      if (due > given) add(from + cell, due - given);
      given = Math.max(given, due);
    }
  }
}

export const ALLOW = 0;
export const DENY = 1;
/** Decisions that are known to have been made, but were not seen. */
export const MISSED = 2;
/** Requests without a decision, because of the server or the policy. */
export const ERROR = 3;
const KINDS = 4;

/** A ring of time slots; each counts in `cells` cells. */
class Slots {
  /** @param {number} slots @param {number} width seconds of one slot @param {number} cells */
  constructor(slots, width, cells) {
    this.slots = slots;
    this.width = width;
    this.cells = cells;
    this.stamps = new Float64Array(slots).fill(-1);
    this.values = new Uint32Array(slots * cells);
  }

  /** Where the slot of this time begins, cleared if it was an older one's; -1 where it is a newer one's. @param {number} second */
  at(second) {
    const stamp = Math.floor(second / this.width);
    const slot = stamp % this.slots;
    const from = slot * this.cells;
    if (this.stamps[slot] > stamp) return -1;
    if (this.stamps[slot] !== stamp) {
      this.values.fill(0, from, from + this.cells);
      this.stamps[slot] = stamp;
    }
    return from;
  }

  /** Where the slot with this stamp begins, or -1 where nothing was counted in it. @param {number} stamp */
  find(stamp) {
    const slot = stamp % this.slots;
    return stamp >= 0 && this.stamps[slot] === stamp ? slot * this.cells : -1;
  }

  /** @param {number} second @param {number} cell @param {number} [n] */
  add(second, cell, n = 1) {
    const at = this.at(second);
    if (at >= 0) this.values[at + cell] += n;
  }

  /** Replaces what a cell counted. @param {number} second @param {number} cell @param {number} n */
  set(second, cell, n) {
    const at = this.at(second);
    if (at >= 0) this.values[at + cell] = n;
  }

  /** What each cell counted; both ends are part of it. @param {number} from @param {number} to stamps of slots */
  sum(from, to) {
    /** @type {number[]} */
    const sum = new Array(this.cells).fill(0);
    for (let stamp = from; stamp <= to; stamp += 1) {
      const at = this.find(stamp);
      if (at < 0) continue;
      for (let cell = 0; cell < this.cells; cell += 1) sum[cell] += this.values[at + cell];
    }
    return sum;
  }

  /** What was counted in the last so many seconds. @param {number} second now @param {number} seconds */
  last(second, seconds) {
    const to = Math.floor(second / this.width);
    return this.sum(to - Math.ceil(seconds / this.width) + 1, to);
  }
}

/** How many decisions of each kind there were, over time. */
export class Counts extends Slots {
  /** @param {number} slots @param {number} width */
  constructor(slots, width) {
    super(slots, width, KINDS);
  }
}

/** Evaluation times, by bucket, over time. */
export class Evaluations extends Slots {
  /** @param {number} slots @param {number} width */
  constructor(slots, width) {
    super(slots, width, BUCKETS);
  }
}
