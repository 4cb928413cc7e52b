// Errors and warnings of a bundle, as a compiler shows them: the place, the line, and a caret under
// the column.

import { el, foreign } from "./dom.js";
import { place } from "./format.js";
import { visible } from "./json.js";

/** Characters of a line that are shown, with the column in the midst of them. */
const MAX_LINE = 160;

/**
 * A line, and the caret's line below it.
 * @param {string} line @param {number|undefined} col from 1 @returns {{line: string, caret: string}}
 */
export function caretOf(line, col) {
  const characters = [...line];
  const at = Number(col) - 1;
  const known = Number.isInteger(at) && at >= 0;
  const column = Math.min(known ? at : 0, characters.length);
  let from = 0;
  if (characters.length > MAX_LINE) from = Math.max(0, Math.min(column - MAX_LINE / 2, characters.length - MAX_LINE));
  const shown = characters.slice(from, from + MAX_LINE);
  const before = from > 0 ? "…" : "";
  const after = from + MAX_LINE < characters.length ? "…" : "";
  // A tab stays one, so that the caret stands where the line has it.
  const blank = shown.slice(0, column - from).map((c) => (c === "\t" ? "\t" : " ")).join("");
  return { line: `${before}${shown.join("")}${after}`, caret: known ? `${before === "" ? "" : " "}${blank}^` : "" };
}

/** @param {any} error */
function source(error) {
  const { row, col } = error.location ?? {};
  const { line, caret } = caretOf(String(error.line), col);
  const number = row === undefined ? "" : String(row);
  const gutter = (/** @type {string} */ text) => el("span", { class: "gutter", "aria-hidden": "true" }, `${text.padStart(number.length)} │ `);
  return el("pre", { class: "source", tabindex: "0", dir: "ltr", "aria-label": `Line ${number}` },
    gutter(number), foreign(visible(line)), caret === "" ? null : "\n",
    caret === "" ? null : gutter(""), caret === "" ? null : el("span", { class: "caret", "aria-hidden": "true" }, caret));
}

/** @param {any[]|undefined} errors @returns {HTMLElement|null} null where there is none */
export function diagnosticList(errors) {
  if (!Array.isArray(errors) || errors.length === 0) return null;
  return el("ul", { class: "diagnostics" }, ...errors.map((error) => {
    const where = place(error?.location);
    return el("li", {},
      el("p", { class: "error-line" },
        where === "" ? null : foreign(where, { class: "mono place" }),
        foreign(String(error?.message ?? ""), { class: "error-words" }),
        error?.code ? el("span", { class: "mono code" }, String(error.code)) : null),
      error?.line ? source(error) : null,
      error?.help ? el("p", { class: "help" }, el("span", { class: "dim" }, "Help: "), foreign(String(error.help))) : null);
  }));
}

/** A message that only says what its errors say is left out. @param {string} message @param {any[]|undefined} errors */
export function ownWords(message, errors) {
  const said = Array.isArray(errors) && errors.some((error) => error?.message && message.includes(error.message));
  return said ? "" : message;
}
