// The answer of /v1/tenants/{id}/why: checked, bounded, and laid out over the lines of the policy.
// Pure. Its words and its order are those of `edge-policy-enforcer eval --explain`.

/** The supervisor's own limit. */
const MAX_RULES = 256;
/** Statements of a rule, with those inside of others. */
const MAX_STATEMENTS = 256;
/** How deep `every`, `not` and comprehensions are followed. */
const MAX_DEPTH = 8;
/** The supervisor's own limits. */
const MAX_ATTEMPTS = 4;
const MAX_VALUES = 16;
/** Characters of a rule's source: somewhat more than the supervisor sends. */
export const MAX_SOURCE = 5_000;
/** Characters of a name, a value or a file's name: a value has no more than 200. */
export const MAX_VALUE = 500;
/** Lines of a rule: a rule of line feeds alone has as many as characters. */
export const MAX_LINES = 300;
/** Characters of a statement where it is said again beside others. */
const MAX_STATEMENT = 100;
/** Statements that are named as the cause. */
export const MAX_CAUSES = 5;

/**
 * @typedef {"held"|"failed"|"skipped"} Outcome
 *
 * @typedef {object} Value what something has; null: it is undefined
 * @property {string} name
 * @property {string|null} value
 *
 * @typedef {object} Attempt
 * @property {boolean} held
 * @property {Value[]} values
 *
 * @typedef {object} Statement
 * @property {number} row
 * @property {number} col in characters, from 1
 * @property {string} source
 * @property {Outcome} outcome
 * @property {number} held how often
 * @property {number} failed
 * @property {number} depth 0, or how many statements it is inside of
 * @property {Attempt[]} attempts
 *
 * @typedef {object} Rule
 * @property {string} name
 * @property {string} file
 * @property {number} row
 * @property {number} col
 * @property {string} source
 * @property {Outcome} outcome
 * @property {string|null} value
 * @property {""|"default "|"else of "} kind
 * @property {number} evaluations
 * @property {Statement[]} statements the outer ones before those inside of them
 *
 * @typedef {object} Answer
 * @property {string} document
 * @property {string|null} value
 * @property {string|null} error
 * @property {Rule[]} rules
 * @property {boolean} isTruncated
 * @property {string} revision the one that explains
 *
 * @typedef {object} Piece
 * @property {string} text
 * @property {Outcome|""} outcome of the innermost statement that it belongs to
 *
 * @typedef {object} Group values that one attempt saw
 * @property {""|"held with "|"failed with "} word
 * @property {Value[]} values
 *
 * @typedef {object} Note what is said of a statement, below its line
 * @property {Outcome} outcome
 * @property {string} source empty where the line has no other statement
 * @property {string} times empty where it had the same outcome each time
 * @property {Group[]} groups
 *
 * @typedef {object} Line
 * @property {number} row
 * @property {Outcome|""} outcome
 * @property {Piece[]} pieces
 * @property {Note[]} notes
 */

/** Values of rules that no definition added to: those of a set or an object are empty. */
const NOTHING = new Set(["false", "[]", "{}"]);
/** Enough of a revision to tell it from another. */
const SHORT_REVISION = 12;

/** @type {Record<string, Outcome>} */
const OUTCOMES = { held: "held", failed: "failed", not_reached: "skipped" };

/** What is left of the limits while an answer is read. */
class Reader {
  constructor() {
    this.isTruncated = false;
  }

  /** @param {any} text @param {number} most */
  text(text, most = MAX_VALUE) {
    const whole = typeof text === "string" ? text : "";
    if (whole.length <= most) return whole;
    this.isTruncated = true;
    // Not within a pair that makes one character.
    const end = /[\ud800-\udbff]/.test(whole[most - 1]) ? most - 1 : most;
    return `${whole.slice(0, end)}…`;
  }

  /** @param {any} text */
  orNull(text) {
    return typeof text === "string" ? this.text(text) : null;
  }

  /** @param {any} list @param {number} most @returns {any[]} */
  list(list, most) {
    const whole = Array.isArray(list) ? list : [];
    if (whole.length > most) this.isTruncated = true;
    return whole.slice(0, most).filter((element) => typeof element === "object" && element !== null);
  }

  /** @param {any} rule @returns {Rule} */
  rule(rule) {
    /** @type {Statement[]} */
    const statements = [];
    this.statements(rule.statements, 0, statements);
    return {
      name: this.text(rule.name),
      file: this.text(rule.place?.file),
      row: whole(rule.place?.row, 1),
      col: whole(rule.place?.col, 1),
      source: this.text(rule.source, MAX_SOURCE),
      outcome: outcomeOf(rule.outcome),
      value: this.orNull(rule.value),
      kind: rule.is_default === true ? "default " : rule.is_else === true ? "else of " : "",
      evaluations: whole(rule.evaluations, 0),
      statements,
    };
  }

  /** @param {any} list @param {number} depth @param {Statement[]} found */
  statements(list, depth, found) {
    if (depth > MAX_DEPTH) {
      this.isTruncated = true;
      return;
    }
    for (const statement of this.list(list, MAX_STATEMENTS)) {
      if (found.length >= MAX_STATEMENTS) {
        this.isTruncated = true;
        return;
      }
      const source = this.text(statement.source, MAX_SOURCE);
      // A part of a rule's head that the compiler made a statement of.
      if (source.trim() === "") continue;
      const outcome = outcomeOf(statement.outcome);
      found.push({
        row: whole(statement.place?.row, 0), col: whole(statement.place?.col, 1), source, outcome, depth,
        held: whole(statement.held, 0), failed: whole(statement.failed, 0), attempts: this.attempts(statement, source),
      });
      if (outcome !== "skipped") this.statements(statement.inside, depth + 1, found);
    }
  }

  /** @param {any} statement @param {string} source @returns {Attempt[]} each that differs from the one before */
  attempts(statement, source) {
    // It prints its values itself.
    if (source.startsWith("print(")) return [];
    /** @type {Attempt[]} */
    const found = [];
    let before = "";
    for (const attempt of this.list(statement.attempts, MAX_ATTEMPTS)) {
      const values = this.list(attempt.values, MAX_VALUES)
        .map((named) => ({ name: this.text(named.name), value: this.orNull(named.value) }))
        // The statement shows its constants already.
        .filter((named) => !/^[{["`]/.test(named.name));
      const read = { held: attempt.held === true, values };
      const said = JSON.stringify(read);
      if (said !== before) found.push(read);
      before = said;
    }
    return found;
  }
}

/** @param {any} n @param {number} otherwise */
function whole(n, otherwise) {
  return Number.isSafeInteger(n) && n >= 0 ? n : otherwise;
}

/** @param {any} outcome @returns {Outcome} */
function outcomeOf(outcome) {
  return Object.hasOwn(OUTCOMES, outcome) ? OUTCOMES[outcome] : "skipped";
}

/** @param {any} json @returns {Answer|null} null where it is no explanation */
export function answerOf(json) {
  const result = json?.result;
  if (typeof result?.document !== "string" || !Array.isArray(result.rules)) return null;
  const reader = new Reader();
  const rules = reader.list(result.rules, MAX_RULES).map((rule) => reader.rule(rule));
  for (const rule of rules) rule.source = withoutElse(rule, rules);
  const answer = {
    document: reader.text(result.document), value: reader.orNull(result.value), error: reader.orNull(result.error),
    rules, revision: reader.text(json.revision), isTruncated: false,
  };
  answer.isTruncated = reader.isTruncated || result.is_truncated === true;
  return answer;
}

/** What the document is, in a few words. @param {Answer} answer */
export function verdictWords({ value, error }) {
  if (error !== null) return `failed: ${error}`;
  return value === null ? "is undefined" : `is ${value}`;
}

/**
 * A rule's source up to its next `else`, which is told of as a rule of its own.
 * @param {Rule} rule @param {Rule[]} rules
 */
function withoutElse(rule, rules) {
  let end = rule.source.length;
  for (const other of rules) {
    if (other.kind !== "else of " || other.name !== rule.name || other.file !== rule.file) continue;
    const at = offsetOf(rule, other.row, other.col);
    if (at !== null && at > 0 && at < end && rule.source.startsWith("else", at)) end = at;
  }
  return rule.source.slice(0, end).trimEnd();
}

/** Where a place of the file is in the rule's source; null where it is not. @param {Rule} rule @param {number} row @param {number} col */
function offsetOf(rule, row, col) {
  if (row < rule.row) return null;
  let at = 0;
  for (let line = rule.row; line < row; line += 1) {
    const end = rule.source.indexOf("\n", at);
    if (end < 0) return null;
    at = end + 1;
  }
  const before = row === rule.row ? col - rule.col : col - 1;
  if (before < 0) return null;
  // Columns count characters, and some of them are two units here.
  for (let i = 0; i < before; i += 1) {
    if (at >= rule.source.length || rule.source[at] === "\n") return null;
    at += /** @type {number} */ (rule.source.codePointAt(at)) > 0xffff ? 2 : 1;
  }
  return at;
}

/** The lines of a rule, with what became of each. @param {Rule} rule @returns {{lines: Line[], isTruncated: boolean}} */
export function linesOf(rule) {
  const { source } = rule;
  /** @type {{from: number, to: number, outcome: Outcome}[]} */
  const ranges = [];
  /** @type {Map<number, Statement[]>} */
  const starting = new Map();
  for (const statement of rule.statements) {
    const at = offsetOf(rule, statement.row, statement.col);
    const text = statement.source.endsWith("…") ? statement.source.slice(0, -1) : statement.source;
    if (at !== null && source.startsWith(text, at)) ranges.push({ from: at, to: at + text.length, outcome: statement.outcome });
    const there = starting.get(statement.row);
    if (there === undefined) starting.set(statement.row, [statement]);
    else there.push(statement);
  }
  /** @type {Line[]} */
  const lines = [];
  let at = 0;
  for (const [index, text] of source.split("\n", MAX_LINES).entries()) {
    const row = rule.row + index;
    const statements = starting.get(row) ?? [];
    starting.delete(row);
    lines.push({ row, outcome: outcomeOfLine(statements), pieces: piecesOf(source, at, at + text.length, ranges), notes: notesOf(statements) });
    at += text.length + 1;
  }
  // Those whose lines were cut off, or of which nobody knows where they stand.
  for (const [row, statements] of starting) {
    const pieces = statements.map(({ source: text, outcome }) => ({ text: oneLine(text), outcome }));
    lines.push({ row, outcome: outcomeOfLine(statements), pieces: pieces.slice(0, 1), notes: notesOf(statements) });
  }
  const isTruncated = at <= source.length || lines.length > MAX_LINES;
  return { lines: lines.slice(0, MAX_LINES), isTruncated };
}

/** @param {string} source @param {number} from @param {number} to @param {{from: number, to: number, outcome: Outcome}[]} ranges @returns {Piece[]} */
function piecesOf(source, from, to, ranges) {
  const here = ranges.filter((range) => range.from < to && range.to > from);
  const edges = new Set([from, to]);
  for (const range of here) edges.add(Math.max(from, range.from)).add(Math.min(to, range.to));
  const sorted = [...edges].sort((a, b) => a - b);
  /** @type {Piece[]} */
  const pieces = [];
  for (let i = 0; i + 1 < sorted.length; i += 1) {
    const start = sorted[i];
    const text = source.slice(start, sorted[i + 1]).replace(/\r$/, "");
    // The inner ones come after the outer ones.
    const outcome = here.findLast((range) => range.from <= start && start < range.to)?.outcome ?? "";
    const last = pieces.at(-1);
    if (last?.outcome === outcome) last.text += text;
    else if (text !== "") pieces.push({ text, outcome });
  }
  return pieces;
}

/** The worst of the outermost statements: those inside of a `not` fail where it holds. @param {Statement[]} statements @returns {Outcome|""} */
function outcomeOfLine(statements) {
  const outer = Math.min(...statements.map((statement) => statement.depth));
  const outcomes = statements.filter((statement) => statement.depth === outer).map((statement) => statement.outcome);
  return /** @type {Outcome[]} */ (["failed", "held", "skipped"]).find((outcome) => outcomes.includes(outcome)) ?? "";
}

/** A statement, where it is said beside others. @param {string} source */
export function oneLine(source) {
  const line = source.replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length > MAX_STATEMENT ? `${characters.slice(0, MAX_STATEMENT).join("")}…` : line;
}

/** @param {Statement[]} statements that begin on one line @returns {Note[]} */
function notesOf(statements) {
  const areMany = statements.length > 1;
  return statements
    .map(({ outcome, source, held, failed, attempts }) => {
      const isMixed = held > 0 && failed > 0;
      return /** @type {Note} */ ({
        outcome,
        source: areMany ? oneLine(source) : "",
        times: isMixed ? `${held} of ${held + failed} times` : "",
        groups: attempts
          .filter((attempt) => attempt.values.length > 0)
          .map((attempt) => ({ word: isMixed ? (attempt.held ? "held with " : "failed with ") : "", values: attempt.values })),
      });
    })
    .filter((note) => note.source !== "" || note.times !== "" || note.groups.length > 0);
}

/**
 * The statements at which the document failed: from its own rules on, each failed statement that
 * reads no other rule which failed.
 * @param {Answer} answer @returns {{rule: number, statement: Statement}[]}
 */
export function causesOf({ document, rules }) {
  const failed = rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => rule.outcome === "failed");
  const names = new Set(failed.map(({ rule }) => rule.name));
  /** @type {{rule: number, statement: Statement}[]} */
  const causes = [];
  // In turn and not by recursion: rules may refer to one another hundreds deep.
  const asked = new Set([document]);
  for (const name of asked) {
    for (const { rule, index } of failed) {
      if (rule.name !== name) continue;
      for (const statement of rule.statements) {
        if (statement.depth > 0 || statement.outcome !== "failed") continue;
        const read = statement.attempts.flatMap((attempt) => attempt.values);
        const others = read.filter(({ name: other, value }) => (value === null || NOTHING.has(value)) && names.has(other));
        for (const other of others) asked.add(other.name);
        if (others.length === 0) causes.push({ rule: index, statement });
      }
    }
  }
  return causes;
}

/**
 * Which rules are open at first, those that matter most first, until there is no room.
 * @param {Answer} answer @param {number} room lines
 * @returns {Set<number>}
 */
export function openRules({ rules, value }, room) {
  const first = value === "true" ? "held" : "failed";
  /** @type {Set<number>} */
  const open = new Set();
  let left = room;
  for (const outcome of [first, first === "held" ? "failed" : "held"]) {
    for (const [index, rule] of rules.entries()) {
      if (rule.outcome !== outcome || rule.kind === "default ") continue;
      const values = rule.statements.reduce((n, statement) => n + statement.attempts.reduce((m, attempt) => m + attempt.values.length, 0), 0);
      left -= rule.source.split("\n", MAX_LINES).length + values;
      // The first one, however long it is.
      if (left < 0 && open.size > 0) return open;
      open.add(index);
    }
  }
  return open;
}

/** Which revision explains, where another one decided, or nobody knows which. @param {string} decided empty where it is unknown @param {string} explains */
export function revisionWords(decided, explains) {
  if (decided === explains) return "";
  const now = `evision ${explains.slice(0, SHORT_REVISION)} explains it now.`;
  return decided === "" ? `R${now}` : `This decision was made by revision ${decided.slice(0, SHORT_REVISION)}; r${now}`;
}

/** @type {Record<string, string>} */
const TROUBLES = {
  overloaded: "Too many explanations are asked for at the moment. Try again in a second.",
  tenant_unavailable: "The tenant has no policy that serves, so nothing can explain the decision. Repair its bundle, then try again.",
  worker_unavailable: "The worker that explains could not start, or ended before it answered. Try again; the supervisor's log has the reason.",
  evaluation_timeout: "The explanation took too long. It is slower than a decision: try again when the host is less busy.",
  memory_limit_exceeded: "The explanation reached the tenant's memory limit. Raise ENFORCER_MEMORY_LIMIT_MIB if the policy needs it, then try again.",
  request_too_large: "The input is too large to be sent again. Raise ENFORCER_MAX_BODY_BYTES, then try again.",
  resource_not_found: "The supervisor has no such tenant any more, or it is too old to explain decisions. Try again once the tenant is back.",
};
/** Of gateways, which answer without a code of ours. @type {Record<number, string>} */
const STATUSES = { 404: "resource_not_found", 413: "request_too_large", 429: "overloaded", 503: "overloaded", 504: "evaluation_timeout" };

/**
 * Why there is no explanation, as a sentence, and in the server's own words.
 * @param {number} status @param {any} body
 * @returns {{words: string, said: string}}
 */
export function refusalOf(status, body) {
  const code = typeof body?.code === "string" && Object.hasOwn(TROUBLES, body.code) ? body.code : STATUSES[status];
  const said = typeof body?.message === "string" ? new Reader().text(body.message) : "";
  if (code !== undefined) return { words: TROUBLES[code], said: "" };
  return { words: `The supervisor did not explain it: it answered with status ${status}.`, said };
}
