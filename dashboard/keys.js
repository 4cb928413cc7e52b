// The keys. Each of them stands in the help, and each that stands in the help is here.

/** A key that begins a pair waits this long for the other. */
const PAIR_MILLIS = 1_500;
/** @type {Record<string, string>} */
const PAGES = { o: "#/", d: "#/decisions", a: "#/alerts" };

/**
 * @param {() => import("./app.js").View|null} view
 * @param {any} help the dialog
 */
export function listen(view, help) {
  let pairUntil = 0;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const page = view();
    if (event.key === "Escape") {
      if (page?.escape?.()) event.preventDefault();
      else if (target.matches("input")) target.blur();
      return;
    }
    if (target.matches("input, select, textarea")) return;
    const paired = event.timeStamp < pairUntil;
    pairUntil = 0;
    if (paired && Object.hasOwn(PAGES, event.key)) location.hash = PAGES[event.key];
    else if (event.key === "g") pairUntil = event.timeStamp + PAIR_MILLIS;
    else if (event.key === "?") help.showModal();
    else if (!handle(event, target, page)) return;
    event.preventDefault();
  });
}

/**
 * @param {KeyboardEvent} event @param {HTMLElement} target @param {import("./app.js").View|null} page
 * @returns {boolean} whether the page had something to do
 */
function handle(event, target, page) {
  // Space presses what has the focus.
  const presses = target.matches("button, a, summary, [role=slider]");
  switch (event.key) {
    case "/":
      page?.focusFilter?.();
      return page?.focusFilter !== undefined;
    case " ":
    case "p":
      if (page?.togglePause === undefined || (event.key === " " && presses)) return false;
      page.togglePause();
      return true;
    case "w":
      return page?.explain?.() ?? false;
    case "j":
      return page?.walk?.(1) ?? false;
    case "k":
      return page?.walk?.(-1) ?? false;
    case "ArrowDown":
    case "ArrowUp":
      // Only on from where one is: from nowhere, they scroll the page.
      if (target.closest("[data-walk]") === null) return false;
      return page?.walk?.(event.key === "ArrowDown" ? 1 : -1) ?? false;
    default:
      return false;
  }
}
