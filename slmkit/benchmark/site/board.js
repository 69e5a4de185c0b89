"use strict";
// Sorting, filtering and the matrices of differences. Without it the tables stand as they are.

const numberOf = (row, column) => {
  const said = row.cells[column].dataset.value;
  return said === undefined ? null : Number(said);
};

function compare(column, sign) {
  const byName = (a, b) => a.cells[0].textContent.localeCompare(b.cells[0].textContent, "en", { numeric: true });
  if (column === 0) return (a, b) => sign * byName(a, b);
  return (a, b) => {
    const [x, y] = [numberOf(a, column), numberOf(b, column)];
    // what has no value comes last, whichever way is sorted
    if (x === null || y === null) return (x === null) - (y === null) || byName(a, b);
    return sign * (x - y) || byName(a, b);
  };
}

function ready(board) {
  const table = board.querySelector("table.ranked");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const words = board.querySelector(".words");
  const selection = board.querySelector(".selection");
  const boxes = [...board.querySelectorAll(".picker input")];
  const status = board.querySelector(".status");
  const names = heads.map((head) => head.firstChild.textContent);
  let order = "";

  const tell = () => {
    const shown = [...body.rows].filter((row) => !row.hidden).length;
    status.textContent = `${order}${shown} of ${body.rows.length} lines shown.`;
  };

  const sort = (column) => {
    const head = heads[column];
    const best = head.dataset.direction === "higher" ? "descending" : "ascending";
    const other = best === "ascending" ? "descending" : "ascending";
    const way = head.getAttribute("aria-sort") === best ? other : best;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", way);
    body.append(...[...body.rows].sort(compare(column, way === "ascending" ? 1 : -1)));
    const which = column === 0 ? way : way === best ? "best first" : "best last";
    order = `Sorted by ${names[column]}, ${which}. `;
    tell();
  };

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of body.rows) {
      const fits = wanted.every((word) => row.dataset.words.includes(word));
      row.hidden = !fits || (selection.value !== "" && row.dataset.selection !== selection.value);
    }
    tell();
  };

  heads.forEach((head, column) => {
    if (head.dataset.direction === undefined) return; // failed everywhere: nothing to sort
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(column));
  });
  words.addEventListener("input", filter);
  selection.addEventListener("change", filter);
  boxes.forEach((box) => {
    const show = () => {
      for (const row of table.rows) row.cells[Number(box.value)].hidden = !box.checked;
    };
    box.addEventListener("change", show);
    show();
  });
  board.querySelector(".controls").hidden = false;
  const first = heads.findIndex((head, column) => column > 0 && head.dataset.direction !== undefined);
  sort(Math.max(first, 0));
}

function cell(text, tag = "td", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = kind;
  return made;
}

const digits = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value)}`;

function difference(found, direction) {
  if (found === null) return cell("–", "td", "same");
  const [value, low, high, n, real] = found;
  const better = (value > 0) === (direction === "higher");
  const kind = !real ? "level-cell" : better ? "better" : "worse";
  const sign = !real ? "≈" : better ? "▲" : "▼";
  const made = cell(`${sign} ${digits(value)}`, "td", kind);
  made.append(cell(`${digits(low)} to ${digits(high)}, n = ${n}`, "span", "span"));
  made.append(cell(!real ? " not told apart" : ` ${kind}`, "span", "unseen"));
  return made;
}

function matrix(lines, { direction, unit, cells }, metric) {
  const table = document.createElement("table");
  table.className = "matrix";
  table.append(cell(`Differences in ${metric}${unit ? `, ${unit}` : ""}: line less column`, "caption", "unseen"));
  const known = lines.map((_, i) => i).filter((i) => cells[i].some((found) => found !== null));
  const head = table.createTHead().insertRow();
  head.append(cell("less", "th"), ...known.map((i) => cell(lines[i], "th", "number")));
  [...head.cells].forEach((each) => { each.scope = "col"; });
  const body = table.createTBody();
  for (const i of known) {
    const row = body.insertRow();
    const name = cell(lines[i], "th");
    name.scope = "row";
    row.append(name, ...known.map((j) => difference(cells[i][j], direction)));
  }
  return table;
}

function readyDifferences(details) {
  const { lines, metrics } = JSON.parse(details.querySelector("script").textContent);
  const choice = details.querySelector("select");
  const place = details.querySelector(".wide");
  const draw = () => place.replaceChildren(matrix(lines, metrics[choice.value], choice.value));
  choice.addEventListener("change", draw);
  details.addEventListener("toggle", draw, { once: true });
  details.hidden = false;
}

document.querySelectorAll(".board").forEach(ready);
document.querySelectorAll(".differences").forEach(readyDifferences);
