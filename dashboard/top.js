// The top of the page, its title and its icon: whether it is connected, and whether anything is wrong.

import { setAttr, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { alertTitle } from "./alert-item.js";
import { inTrouble } from "./states.js";

/** A lost connection that is back at once is nobody's concern. */
const BANNER_MILLIS = 1_500;
/** More than this is "a lot", and a number that grows moves what stands beside it. */
const MAX_BADGE = 99;
const THEME = "enforcer.theme";
const THEMES = ["auto", "light", "dark"];

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** For those who hear the page: connection and alerts, never single decisions. @param {string} text */
function say(text) {
  setText(byId("spoken"), text);
}

export class Top {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.lostAt = Date.now();
    this.shown = "";
    /** @type {import("./alerts.js").Alert|null} */
    this.spoken = null;
    byId("theme").addEventListener("click", () => this.nextTheme());
    this.showTheme();
  }

  /** @param {boolean} connected @param {number} now */
  connected(connected, now) {
    if (connected) {
      if (this.lostAt > 0 && this.store.received > 0) say("Connected again.");
      this.lostAt = 0;
    } else if (this.lostAt === 0) {
      this.lostAt = now;
      say("The connection is lost. Reconnecting.");
    }
  }

  /** @param {import("./sources.js").Sources|null} sources @param {number} now */
  showConnection(sources, now) {
    /** @type {import("./connection.js").Status} */
    const status = sources?.status ?? { state: "connecting" };
    const words = {
      connecting: "Connecting",
      connected: "Live",
      offline: "Offline",
      closed: "Closed",
      waiting: `Reconnecting in ${status.state === "waiting" ? Math.max(0, Math.ceil((status.until - now) / 1000)) : 0} s`,
    };
    setText(byId("connection-text"), words[status.state]);
    setAttr(byId("connection"), "data-state", status.state);
    byId("retry").hidden = status.state !== "waiting";
    const lost = this.lostAt > 0 && now - this.lostAt > BANNER_MILLIS;
    const banner = byId("banner");
    banner.hidden = !lost;
    if (lost) {
      const reason = status.state === "waiting" && status.reason !== "" ? ` ${status.reason}.` : "";
      const { failed, answeredAt } = sources ?? { failed: true, answeredAt: 0 };
      setText(banner, failed
        ? `No connection to the supervisor.${reason}${answeredAt > 0 ? ` The page shows what it knew at ${clock(answeredAt)}.` : ""}`
        : `The decision stream is not connected.${reason} ${this.store.host === null ? "Live figures are missing." : "Figures come from /v1/overview every 5 s, and no single decisions are shown."}`);
    }
    byId("sandbox-off").hidden = !this.store.host?.sandboxOff;
    byId("unreadable").hidden = this.store.host?.readable !== false;
  }

  /** The number of alerts in the title and the menu, and the icon. @param {string} title of the page @param {number} now */
  showAlerts(title, now) {
    const { alerts } = this.store;
    const { all, grave } = alerts.counts;
    let trouble = 0;
    for (const tenant of this.store.tenants.values()) if (inTrouble(tenant, this.store.serverTime(now))) trouble += 1;
    const isBad = grave > 0 || trouble > 0;
    const number = all > MAX_BADGE ? `${MAX_BADGE}+` : String(all);
    // Trouble stays in the title after its alert was seen.
    const text = `${all > 0 ? `(${number}) ` : isBad ? "(!) " : ""}${title} · Edge Policy Enforcer`;
    if (document.title !== text) document.title = text;
    const shown = `${all} ${isBad}`;
    if (shown !== this.shown) {
      this.shown = shown;
      const badge = byId("badge");
      badge.hidden = all === 0;
      setText(badge, number);
      setAttr(badge, "data-tone", grave > 0 ? "bad" : null);
      setAttr(badge, "aria-label", `${count(all)} not seen`);
      const icon = isBad ? "icon-problems.svg" : all > 0 ? "icon-warnings.svg" : "icon.svg";
      setAttr(byId("icon"), "href", new URL(icon, import.meta.url).href);
    }
    if (alerts.newest !== null && alerts.newest !== this.spoken) {
      this.spoken = alerts.newest;
      say(`Alert: ${this.spoken.tenant}: ${alertTitle(this.spoken)}`);
    }
  }

  showTheme() {
    const theme = document.documentElement.dataset.theme ?? "auto";
    setText(byId("theme-text"), theme[0].toUpperCase() + theme.slice(1));
    setAttr(byId("theme"), "aria-label", `Theme: ${theme}`);
  }

  nextTheme() {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length];
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(THEME, theme);
    } catch {
      // Full or forbidden: the choice lasts as long as the page.
    }
    this.showTheme();
  }
}
