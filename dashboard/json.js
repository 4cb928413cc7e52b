// JSON as it was sent. What is shown is cut out of the message's text and not out of what
// JSON.parse makes of it, which rounds big integers and drops the first of two equal keys.

/** What a number or a literal ends at. */
const END = /[\s{}[\],:"]/g;

/**
 * Strings, numbers, literals and punctuation marks, in turn. By hand: a pattern that takes a string
 * of some MiB with escapes in it overflows the engine's stack.
 * @param {string} text
 * @returns {Generator<[string, number]>} each with its place
 */
function* tokens(text) {
  let at = 0;
  while (at < text.length) {
    const c = text[at];
    let end = at + 1;
    if (c === " " || c === "\n" || c === "\r" || c === "\t") {
      at = end;
      continue;
    }
    if (c === '"') {
      for (;;) {
        end = text.indexOf('"', end);
        if (end < 0) return;
        let slashes = 0;
        while (text[end - 1 - slashes] === "\\") slashes += 1;
        end += 1;
        if (slashes % 2 === 0) break;
      }
    } else if (!"{}[],:".includes(c)) {
      END.lastIndex = end;
      end = END.exec(text)?.index ?? text.length;
    }
    yield [text.slice(at, end), at];
    at = end;
  }
}

/** Characters that turn text around, take no room, or are orders to a terminal: shown as what they are. */
const INVISIBLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

/** @param {string} text JSON, a part of it within a string, or any other text of more than one line */
export function visible(text) {
  return text.replace(INVISIBLE, (unit) => [...Array(unit.length).keys()].map((i) => `\\u${unit.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""));
}

/**
 * The text of the value at this path of keys; null where there is none.
 * @param {string} text @param {string[]} path
 */
export function valueAt(text, path) {
  let depth = 0;
  /** How many keys of the path lead to the object that is being read. */
  let matched = 0;
  let entering = false;
  let start = -1;
  let expectKey = false;
  /** @type {string|null} */
  let key = null;
  /** @type {string[]} */
  const kinds = [];
  for (const [token, index] of tokens(text)) {
    const ends = token === "," || token === "}";
    if (ends && start >= 0 && depth === path.length) return text.slice(start, index).trim();
    if (token === "{" || token === "[") {
      if (entering && token === "{") matched = depth;
      kinds.push(token);
      depth += 1;
      expectKey = token === "{";
      entering = false;
    } else if (token === "}" || token === "]") {
      kinds.pop();
      depth -= 1;
      matched = Math.min(matched, Math.max(0, depth - 1));
      expectKey = false;
    } else if (token === ",") {
      expectKey = kinds.at(-1) === "{";
    } else if (token === ":") {
      const found = start < 0 && key !== null && depth === matched + 1 && key === path[matched];
      if (found && depth === path.length) start = index + 1;
      entering = found && depth < path.length;
    } else if (expectKey) {
      key = depth === matched + 1 ? JSON.parse(token) : null;
      expectKey = false;
    } else entering = false;
  }
  return null;
}

/**
 * The texts of the elements of an array.
 * @param {string} text it begins with the array; nothing after its end is read
 */
export function elements(text) {
  /** @type {string[]} */
  const found = [];
  if (!text.startsWith("[")) return found;
  let depth = 0;
  let start = 1;
  for (const [token, index] of tokens(text)) {
    if (token === "{" || token === "[") depth += 1;
    const closing = token === "}" || token === "]";
    if (depth === 1 && (token === "," || closing)) {
      const element = text.slice(start, index).trim();
      if (element !== "") found.push(element);
      start = index + 1;
    }
    if (closing) depth -= 1;
    if (depth === 0) break;
  }
  return found;
}

/**
 * @typedef {{text: string, kind: "key"|"string"|"number"|"literal"|""}} Piece
 */

/**
 * The pieces of JSON text, laid out over lines.
 * @param {string} text @returns {Piece[]}
 */
export function pretty(text) {
  /** @type {Piece[]} */
  const pieces = [];
  let plain = "";
  let depth = 0;
  let opened = false;
  /** @type {string[]} */
  const kinds = [];
  let expectKey = false;
  const flush = () => {
    if (plain !== "") pieces.push({ text: plain, kind: "" });
    plain = "";
  };
  const line = () => {
    plain += `\n${"  ".repeat(depth)}`;
  };
  for (const [token] of tokens(text)) {
    const closing = token === "}" || token === "]";
    if (opened && !closing) line();
    if (token === "{" || token === "[") {
      kinds.push(token);
      depth += 1;
      plain += token;
      opened = true;
      expectKey = token === "{";
      continue;
    }
    if (closing) {
      kinds.pop();
      depth -= 1;
      if (!opened) line();
      plain += token;
    } else if (token === ",") {
      plain += token;
      line();
      expectKey = kinds.at(-1) === "{";
    } else if (token === ":") {
      plain += ": ";
    } else {
      flush();
      const string = token.startsWith('"');
      const kind = string ? (expectKey ? "key" : "string") : /^[-\d]/.test(token) ? "number" : "literal";
      pieces.push({ text: string ? visible(token) : token, kind });
      expectKey = false;
    }
    opened = false;
  }
  flush();
  return pieces;
}
