// What axe does not look at: headers that say of what, and the letters of drawings; read by
// accessibility.py.
(() => {
  const faults = [];
  const where = (e) => `<${e.tagName.toLowerCase()}> "${(e.textContent || "").trim().slice(0, 30)}"`;
  const numbers = (text) => (text.match(/rgba?\(([^)]*)\)/) || ["", ""])[1].split(/[ ,/]+/).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const painted = numbers(getComputedStyle(at).backgroundColor);
      if (painted.length >= 3 && (painted[3] ?? 1) > 0.99) return painted;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  for (const e of document.querySelectorAll("svg use, svg text")) {  // letters are shapes that are used
    const fill = getComputedStyle(e).fill;
    if (!e.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    if (fill === "none" || !e.closest("[id*=text]")) continue;
    const [a, b] = [light(numbers(fill)), light(behind(e.closest("svg")))];
    const found = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (found < 4.5) faults.push(`contrast ${found.toFixed(2)} of letters drawn in ${where(e.closest("svg"))}`);
  }
  for (const th of document.querySelectorAll("th"))
    if (!["col", "row", "colgroup", "rowgroup"].includes(th.scope)) faults.push(`no scope: ${where(th)}`);
  for (const table of document.querySelectorAll("table"))
    if (!table.querySelector("th")) faults.push(`no headers: ${where(table)}`);
  return faults;
})()
