// A chart of the side column: title, names of its lines, and the plot.

function render({ model, el }) {
  el.classList.add("rp-chart");
  const head = make("div", "rp-chart-head", el);
  const title = make("span", "rp-chart-title", head);
  const names = make("span", "rp-chart-names", head);
  const plate = make("div", "rp-chart-plate", el);
  const canvas = make("canvas", "rp-chart-canvas", plate);
  canvas.setAttribute("role", "img");
  let [drawing, pointer] = [0, null];
  const draw = () => {
    drawing = 0;
    const plot = model.get("plot");
    if (!plot.series) return;
    title.textContent = plot.title;
    names.replaceChildren();
    for (const line of plot.series.length > 1 ? plot.series : []) {
      const name = make("span", "rp-chart-name", names);
      name.textContent = line.name;
      name.style.color = `var(${line.ink})`;
    }
    const latest = plot.series.map((line) => `${line.name} ${line.values.length ? line.values[line.values.length - 1] : "nothing yet"}`);
    canvas.setAttribute("aria-label", `${plot.title}: ${latest.join(", ")}`);
    drawPlot(canvas, el, plot, pointer);
  };
  const redraw = () => {
    if (!drawing) drawing = requestAnimationFrame(draw);
  };
  const resizes = new ResizeObserver(redraw);
  resizes.observe(plate);
  model.on("change:plot", redraw);
  canvas.addEventListener("pointermove", (event) => {
    pointer = event.offsetX;
    redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    pointer = null;
    redraw();
  });
  const endTheme = onTheme(redraw);
  return () => {
    cancelAnimationFrame(drawing);
    resizes.disconnect();
    endTheme();
    model.off("change:plot", redraw);
  };
}

export default { render };
