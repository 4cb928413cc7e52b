// An explanation as elements: the rules of the policy with their source, what became of each
// statement, and the values there. All of its texts are a tenant's or a client's.

import { el, foreign } from "./dom.js";
import { plural, shortRevision } from "./format.js";
import { visible } from "./json.js";
import { causesOf, linesOf, MAX_CAUSES, oneLine, openRules, revisionWords, verdictWords } from "./why-answer.js";

/** Lines that are open at first: about what a high screen shows. The other rules are one line each. */
const OPEN_LINES = 60;
/** Elements that a rule makes. Its lines and values beyond that are left out. */
export const MAX_PIECES = 2_000;
/** Elements of the rules that are open at first. */
const MAX_OPEN_PIECES = 4_000;

/** Values of a statement that is named as the cause. All of them are beside its line. */
const MAX_CAUSE_VALUES = 4;

/** @param {string} text @param {Record<string, any>} [props] */
const said = (text, props) => foreign(visible(text), props);

/** A rule's name: its package is the same for most of them. @param {string} name */
function nameOf(name) {
  const end = /^[\w.]*\.(?=\w+$)/.exec(name)?.[0].length ?? 0;
  return el("bdi", { class: "mono why-rule-name" }, end === 0 ? null : el("span", { class: "dim" }, name.slice(0, end)), visible(name.slice(end)));
}

/** @param {string} file @param {number} row */
const placeWords = (file, row) => `${file}:${row}`;

/** @param {string|null} value */
function valueOf(value) {
  return value === null ? el("span", { class: "mono why-undefined" }, "undefined") : said(value, { class: "mono why-value" });
}

/** What a statement saw when it failed for the last time. @param {import("./why-answer.js").Statement} statement */
function lastValues({ attempts }) {
  return attempts.findLast((attempt) => !attempt.held)?.values.slice(0, MAX_CAUSE_VALUES) ?? [];
}

/** A statement and what it saw. @param {import("./why-answer.js").Statement} statement */
function causeOf(statement) {
  const values = lastValues(statement);
  const isOfItself = values.length === 1 && values[0].name === statement.source;
  return [
    isOfItself ? null : said(oneLine(statement.source), { class: "mono" }),
    ...values.map(({ name, value }) => el("p", {}, said(name, { class: "mono" }), el("span", { class: "dim" }, " is "), valueOf(value))),
  ];
}

export class Explanation {
  /**
   * @param {import("./why-answer.js").Answer} answer
   * @param {{revision: string, allow: boolean|null, isMasked: boolean}} decided what was decided; `revision` is empty and `allow` null where nobody knows
   */
  constructor(answer, decided) {
    this.answer = answer;
    /** @type {{element: any, open: () => void}[]} */
    this.rules = [];
    /** The first rule of each name, for those who follow a value to it. @type {Map<string, number>} */
    this.byName = new Map();
    for (const [index, rule] of answer.rules.entries()) if (!this.byName.has(rule.name)) this.byName.set(rule.name, index);
    const open = openRules(answer, OPEN_LINES);
    let left = MAX_OPEN_PIECES;
    const rules = answer.rules.map((rule, index) => {
      const made = this.rule(rule);
      this.rules.push(made);
      if (open.has(index) && left > 0) left -= made.open();
      return made.element;
    });
    this.element = el("div", { class: "why-told" },
      this.heading(decided), this.causes(),
      el("ol", { class: "why-rules", role: "list", "aria-label": "Rules that took part" }, ...rules.map((rule) => el("li", {}, rule))),
      answer.isTruncated ? el("p", { class: "dim why-more" }, "… more was left out") : null);
  }

  /** @param {{revision: string, allow: boolean|null, isMasked: boolean}} decided */
  heading({ revision, allow, isMasked }) {
    const { answer } = this;
    const other = revisionWords(revision, answer.revision);
    const now = answer.error === null && (answer.value === "true" || answer.value === "false") ? answer.value === "true" : null;
    const differs = other === "" && allow !== null && now !== null && now !== allow;
    return el("div", { class: "why-heading" },
      el("p", { class: "why-verdict" }, nameOf(answer.document), " ", said(verdictWords(answer), { class: "mono why-value" })),
      other !== "" ? el("p", { class: revision === "" ? "dim why-revision" : "why-other why-revision" }, said(other, { title: visible(`${revision} ${answer.revision}`.trim()) }))
        : el("p", { class: "dim why-revision" }, "Revision ", el("span", { class: "mono", title: visible(answer.revision) }, visible(shortRevision(answer.revision))), " made this decision, and explains it."),
      isMasked ? el("p", { class: "why-other why-masked" }, "This explains the masked input. The decision was made about the whole input, so it may have been another one.") : null,
      differs && !isMasked ? el("p", { class: "why-other" }, "The decision was another one then. The policy may depend on the time, or on something else that is not in the input.") : null);
  }

  /** Where it failed, in a few lines. */
  causes() {
    const { answer } = this;
    if (answer.value === "true") return null;
    const causes = causesOf(answer);
    if (causes.length === 0) return null;
    const more = causes.length - MAX_CAUSES;
    return el("div", { class: "why-causes" },
      el("h4", {}, "What failed"),
      el("ul", { role: "list" }, ...causes.slice(0, MAX_CAUSES).map(({ rule, statement }) => {
        const { file } = answer.rules[rule];
        return el("li", {},
          el("button", { type: "button", class: "why-jump", on: { click: () => this.jump(rule, statement.row) } }, said(placeWords(file, statement.row))),
          el("div", { class: "why-cause" }, ...causeOf(statement)));
      })),
      more > 0 ? el("p", { class: "dim" }, `and ${plural(more, "other statement")}`) : null);
  }

  /** To a rule, and to a line of it. @param {number} index @param {number} [row] */
  jump(index, row) {
    const { element, open } = this.rules[index];
    open();
    if (element.tagName === "DETAILS") element.open = true;
    const line = row === undefined ? null : element.querySelector(`[data-row="${row}"]`);
    const target = line ?? element.querySelector("summary") ?? element;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }

  /** @param {import("./why-answer.js").Rule} rule @returns {{element: any, open: () => number}} */
  rule(rule) {
    const facts = el("span", { class: "why-facts" },
      el("span", { class: "why-name" }, rule.kind === "" ? null : el("span", { class: "dim" }, rule.kind), nameOf(rule.name)),
      said(placeWords(rule.file, rule.row), { class: "mono why-place" }),
      rule.value === null ? null : el("span", { class: "mono why-is" }, "= ", said(rule.value, { class: "why-value" })),
      rule.evaluations > 1 ? el("span", { class: "dim" }, plural(rule.evaluations, "evaluation")) : null,
      rule.outcome === "skipped" ? el("span", { class: "dim" }, "another definition decided") : null);
    const head = [el("span", { class: "why-word" }, rule.outcome), facts];
    // Its first line says all that there is to it.
    if (rule.kind === "default ") return { element: el("div", { class: `why-rule ${rule.outcome}`, tabindex: "-1" }, el("div", { class: "why-head" }, ...head)), open: () => 0 };
    const body = el("div", { class: "why-source", dir: "ltr" });
    const element = el("details", { class: `why-rule ${rule.outcome}` }, el("summary", { class: "why-head" }, ...head), body);
    let made = 0;
    const fill = () => {
      if (made > 0) return made;
      made = this.fill(body, rule);
      return made;
    };
    const open = () => {
      element.open = true;
      return fill();
    };
    element.addEventListener("toggle", () => {
      if (element.open) fill();
    });
    return { element, open };
  }

  /** @param {any} body @param {import("./why-answer.js").Rule} rule @returns {number} how many elements it made */
  fill(body, rule) {
    const { lines, isTruncated } = linesOf(rule);
    let made = 1;
    let isCut = isTruncated;
    const list = el("ol", { class: "why-lines", role: "list" });
    for (const line of lines) {
      const size = 4 + line.pieces.length + line.notes.reduce((n, note) => n + 4 + note.groups.reduce((m, group) => m + 1 + 4 * group.values.length, 0), 0);
      if (made + size > MAX_PIECES) {
        isCut = true;
        break;
      }
      made += size;
      list.append(this.line(line, rule));
    }
    body.replaceChildren(list);
    if (isCut) body.append(el("p", { class: "dim why-more" }, "… more lines were left out"));
    return made;
  }

  /** @param {import("./why-answer.js").Line} line @param {import("./why-answer.js").Rule} rule */
  line({ row, outcome, pieces, notes }, rule) {
    return el("li", { class: `why-line ${outcome}`, "data-row": row, tabindex: "-1" },
      el("span", { class: "why-row" }, String(row)),
      el("span", { class: "why-word" }, outcome),
      el("div", { class: "why-code" },
        el("code", {}, ...pieces.map((piece) => (piece.outcome === "" ? visible(piece.text) : el("span", { class: `why-part ${piece.outcome}` }, visible(piece.text))))),
        ...notes.map((note) => this.note(note, rule))));
  }

  /** @param {import("./why-answer.js").Note} note @param {import("./why-answer.js").Rule} rule */
  note({ outcome, source, times, groups }, rule) {
    const isOwn = source === "";
    const only = groups.length === 1 && groups[0].values.length === 1 ? groups[0].values[0] : null;
    if (!isOwn && only !== null && only.name === source && times === "") {
      return el("div", { class: `why-note ${outcome}` }, el("p", { class: "why-again" }, el("span", { class: "why-word" }, outcome), el("span", {}, ...this.value(only, rule))));
    }
    return el("div", { class: `why-note ${outcome}` },
      isOwn && times === "" ? null : el("p", { class: "why-again" },
        isOwn ? null : el("span", { class: "why-word" }, outcome),
        isOwn ? null : said(source, { class: "mono" }),
        times === "" ? null : el("span", { class: "dim" }, `${isOwn ? "held " : ""}${times}`)),
      ...groups.map(({ word, values }) => el("ul", { class: "why-values", role: "list" },
        ...values.map((value, index) => el("li", {}, index === 0 && word !== "" ? el("span", { class: "dim" }, word) : null, ...this.value(value, rule))))));
  }

  /** @param {import("./why-answer.js").Value} value @param {import("./why-answer.js").Rule} rule */
  value({ name, value }, rule) {
    const index = this.byName.get(name);
    const isElsewhere = index !== undefined && this.answer.rules[index] !== rule;
    return [
      isElsewhere ? el("button", { type: "button", class: "why-jump mono", on: { click: () => this.jump(/** @type {number} */ (index)) } }, said(name)) : said(name, { class: "mono" }),
      el("span", { class: "dim" }, " is "),
      valueOf(value),
    ];
  }
}
