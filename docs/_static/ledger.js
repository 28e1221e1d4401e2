// Buttons above the tables of the ledger that show the rows of one verdict.  Without JavaScript all
// rows are there.

document.addEventListener("DOMContentLoaded", () => {
  const tables = [...document.querySelectorAll(".ledger table")];
  const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
  if (rows.length === 0) return;

  const verdict = (row) => row.cells[0].textContent.trim();
  const verdicts = ["all", ...new Set(rows.map(verdict))];
  const count = (name) => rows.filter((row) => name === "all" || verdict(row) === name).length;

  const buttons = [];
  const show = (name) => {
    for (const row of rows) row.hidden = name !== "all" && verdict(row) !== name;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === name));
    }
  };

  for (const table of tables) {
    const bar = document.createElement("div");
    bar.className = "ledger-filter";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Rows by verdict, in all tables of this page");
    for (const name of verdicts) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.verdict = name;
      button.textContent = `${name} (${count(name)})`;
      button.addEventListener("click", () => show(name));
      buttons.push(button);
      bar.append(button);
    }
    table.closest(".ledger").prepend(bar);
  }
  show("all");
});
