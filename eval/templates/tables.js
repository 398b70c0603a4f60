// Tables that sort by the column whose heading is pressed: largest first, then smallest first; what has no value is last.
"use strict";

function sortBy(table, heading) {
  const column = [...heading.parentElement.children].indexOf(heading);
  const body = table.tBodies[0];
  const value = (row) => row.children[column].dataset.value;
  const isNumber = [...body.rows].every((row) => value(row) === undefined || !Number.isNaN(Number(value(row))));
  // Names start from the top of the alphabet, numbers from the largest.
  const first = isNumber ? "descending" : "ascending";
  const second = isNumber ? "ascending" : "descending";
  const order = heading.ariaSort === first ? second : first;
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return sign * (isNumber ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
  };
  body.append(...[...body.rows].sort(compare));
  for (const each of heading.parentElement.children) each.ariaSort = each === heading ? order : "none";
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const heading = event.target.closest("th");
    if (heading && event.target.closest("button")) sortBy(table, heading);
  });
}
