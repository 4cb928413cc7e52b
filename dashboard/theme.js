// The remembered theme, before anything is painted: a module would come too late and flash.
(() => {
  try {
    const theme = localStorage.getItem("enforcer.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme is fine then.
  }
})();
