// Sorting of tables by a click on a head, inside each group of rows. The page is whole without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
        const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
        rows.sort((one, other) => {
          const [a, b] = [key(one), key(other)];
          // Unknown values stay at the end, whichever way the column is sorted.
          if (a === "" || b === "") return (a === "") - (b === "");
          const [x, y] = [Number(a), Number(b)];
          const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
          return rising ? order : -order;
        });
        body.append(...rows);
      }
    });
  });
}

// Paper can't be unfolded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.open = true;
    folded.dataset.folded = "";
  }
});
addEventListener("afterprint", () => {
  for (const unfolded of document.querySelectorAll("details[data-folded]")) {
    unfolded.open = false;
    delete unfolded.dataset.folded;
  }
});
