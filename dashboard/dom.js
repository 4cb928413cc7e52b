// The only way that the dashboard makes elements. Text from the server becomes text nodes and
// attributes, never markup.

/** How long a copy button says that it did. */
const COPIED_MILLIS = 1_500;

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `on` holds listeners, and what is null or false is left out
 * @param {...(Node|string|null)} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for the parts of a drawing. @param {string} tag @param {Record<string, any>} [props] @param {...(Node|string|null)} children @returns {any} */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

/** @param {Element} node @param {Record<string, any>} props @param {(Node|string|null)[]} children */
function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null) node.append(child);
  return node;
}

/** Touches the page only where there is something new. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string|null} value */
export function setAttr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Text of a tenant's or a client's: what turns text around stays within it. @param {string} text @param {Record<string, any>} [props] */
export function foreign(text, props = {}) {
  return el("bdi", props, text);
}

/** @param {string} label for those who cannot see what it stands beside @param {() => string} text @param {string} [name] */
export function copyButton(label, text, name = "Copy") {
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": label }, name);
  button.addEventListener("click", async () => {
    const done = await copy(text());
    setText(button, done ? "Copied" : "Not copied");
    setTimeout(() => setText(button, name), COPIED_MILLIS);
  });
  return button;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers give the clipboard to secure origins only, and plain HTTP to another host is not secure.
    const area = el("textarea", { class: "off-screen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Shapes tell states apart where colours do not. @type {Record<string, string>} */
const GLYPHS = {
  ready: "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
  allow: "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
  starting: "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9zM6 3.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 1 1 0-5z",
  asleep: "M7.2 1.6a4.5 4.5 0 1 0 3.2 6.2A4 4 0 0 1 7.2 1.6z",
  rejected: "M2.9 1.5L6 4.6l3.1-3.1l1.4 1.4L7.4 6l3.1 3.1l-1.4 1.4L6 7.4l-3.1 3.1l-1.4-1.4L4.6 6L1.5 2.9z",
  deny: "M2.9 1.5L6 4.6l3.1-3.1l1.4 1.4L7.4 6l3.1 3.1l-1.4 1.4L6 7.4l-3.1 3.1l-1.4-1.4L4.6 6L1.5 2.9z",
  backoff: "M6 1.2L11.2 10.5H.8z",
  failing: "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10zM5.1 3h1.8l-.3 3.6H5.4zM6 7.4a.9.9 0 1 1 0 1.8a.9.9 0 1 1 0-1.8z",
  error: "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10zM5.1 3h1.8l-.3 3.6H5.4zM6 7.4a.9.9 0 1 1 0 1.8a.9.9 0 1 1 0-1.8z",
  waiting: "M2.5 4.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4zM6 4.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4zM9.5 4.8a1.2 1.2 0 1 0 0 2.4a1.2 1.2 0 1 0 0-2.4z",
  stopped: "M2 2h8v8H2z",
  shift: "M1 9.2L4.6 5.4l2 2L10 3.6V6h1.5V1.2H6.7v1.5h2.2L6.6 5.3l-2-2L0 8.1z",
  quarantined: "M1.5 1.5h9v9h-9zM3 5v2h6V5z",
};

/** @param {string} name of a state or a decision */
export function glyph(name) {
  const drawing = svg("svg", { viewBox: "0 0 12 12", class: "glyph", "aria-hidden": "true" });
  drawing.append(svg("path", { d: GLYPHS[name] ?? GLYPHS.starting, "fill-rule": "evenodd" }));
  return drawing;
}

/** @param {string} state */
export function statePill(state) {
  const known = Object.hasOwn(GLYPHS, state);
  return el("span", { class: `state ${known ? state : "starting"}` }, glyph(state), el("span", {}, state));
}

/** Changes a pill in place. @param {Element} pill @param {string} state */
export function setState(pill, state) {
  if (pill.textContent === state) return;
  const fresh = statePill(state);
  pill.className = fresh.className;
  pill.replaceChildren(...fresh.childNodes);
}
