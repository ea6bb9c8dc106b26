// A table or a list as one widget: rows come as data, which costs a fraction of a widget a cell.
// A cell is a text, or {text, title, kind, open, span}; `open` makes it a button that tells the page its number.

function render({ model, el }) {
  el.classList.add("rp-sheet", ...model.get("look").split(" ").filter(Boolean));
  const draw = () => {
    const place = el.scrollTop;
    el.replaceChildren();
    const table = make("table", "", el);
    const head = model.get("head");
    if (head.length) {
      const row = make("tr", "", table);
      head.forEach((title, column) => (make("th", `rp-col-${column}`, row).textContent = title));
    }
    for (const cells of model.get("rows")) {
      const row = make("tr", "", table);
      for (const cell of cells) drawCell(row, typeof cell === "string" ? { text: cell } : cell);
    }
    el.scrollTop = place;
  };
  const drawCell = (row, cell) => {
    const box = make("td", cell.kind || "", row);
    if (cell.title) row.title = cell.title;
    if (cell.span) box.colSpan = cell.span;
    if (cell.open === undefined || cell.open === null) {
      box.textContent = cell.text;
      return;
    }
    const button = make("button", "rp-open", box);
    button.textContent = cell.text;
    button.addEventListener("click", () => {
      model.set("opened", [cell.open, Date.now()]);
      model.save_changes();
    });
  };
  draw();
  model.on("change:rows change:head", draw);
  return () => model.off("change:rows change:head", draw);
}

export default { render };
