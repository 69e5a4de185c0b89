// What is wrong with the page, a line each; read by accessibility.py.
(() => {
  const faults = [], seen = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const where = (e) => `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}"> `
    + `"${(e.textContent || "").trim().slice(0, 30)}"`;
  const numbers = (text) => (text.match(/rgba?\(([^)]*)\)/) || ["", ""])[1].split(/[ ,/]+/).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const painted = style.backgroundImage.includes("gradient") ? numbers(style.backgroundImage) : numbers(style.backgroundColor);
      if (painted.length >= 3 && (painted[3] ?? 1) > 0.99) return painted;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  const contrast = (colour, e) => {
    const [a, b] = [light(numbers(colour)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const enough = (colour, e) => {
    const found = contrast(colour, e);
    if (found < 4.5) faults.push(`contrast ${found.toFixed(2)} of ${where(e)}`);
  };
  for (const e of document.body.querySelectorAll("*")) {
    if (!seen(e) || e.closest("script, style")) continue;
    const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (e.closest("svg")) {
      const fill = getComputedStyle(e).fill;  // letters of drawings are shapes that are used
      if (["use", "text"].includes(e.tagName) && fill !== "none" && e.closest("[id*=text]")) enough(fill, e.closest("svg"));
    } else if (says) {
      enough(getComputedStyle(e).color, e);
    }
    if (e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
        && e.tabIndex < 0) faults.push(`scrolls and has no focus: ${where(e)}`);
    if (e.tabIndex > 0) faults.push(`tabindex above 0: ${where(e)}`);
  }
  for (const th of document.querySelectorAll("th")) {
    if (!["col", "row", "colgroup", "rowgroup"].includes(th.scope)) faults.push(`no scope: ${where(th)}`);
    if (!th.textContent.trim()) faults.push(`empty header in "${th.closest("table").textContent.slice(0, 30)}"`);
  }
  for (const table of document.querySelectorAll("table"))
    if (!table.querySelector("th")) faults.push(`no headers: ${where(table)}`);
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const own = Number(h.tagName[1]);
    if (own > level + 1) faults.push(`heading ${own} after ${level}: ${where(h)}`);
    level = own;
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.title.trim()) faults.push("no title");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) faults.push(`id twice: ${id}`);
  return faults;
})()
