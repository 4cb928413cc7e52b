// Times of which something is known, so that a time of which nothing is known is never a zero.

/** Older spans have left the charts long ago. */
const MAX_SPANS = 64;

export class Spans {
  constructor() {
    /** In order, and apart from each other. @type {{from: number, to: number}[]} */
    this.spans = [];
  }

  /** @param {number} from seconds @param {number} to Infinity while it goes on */
  add(from, to) {
    if (!(to > from)) return;
    const apart = [];
    let whole = { from, to };
    for (const span of this.spans) {
      if (span.to < whole.from || span.from > whole.to) apart.push(span);
      else whole = { from: Math.min(span.from, whole.from), to: Math.max(span.to, whole.to) };
    }
    this.spans = [...apart, whole].sort((a, b) => a.from - b.from).slice(-MAX_SPANS);
  }

  /** What went on ends here. @param {number} at */
  end(at) {
    const last = this.spans.at(-1);
    if (last?.to !== Infinity) return;
    last.to = at;
    if (last.to <= last.from) this.spans.pop();
  }

  /** How many of the seconds between these two are known. @param {number} from @param {number} to */
  seconds(from, to) {
    let seconds = 0;
    for (const span of this.spans) seconds += Math.max(0, Math.min(to, span.to) - Math.max(from, span.from));
    return seconds;
  }
}
