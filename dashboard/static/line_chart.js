// A line over days with a level to compare with; the y axis is linear or logarithmic.

const LEFT = 46;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;

function render({ model, el }) {
  el.classList.add("rp-chart");
  make("div", "rp-chart-title", el).textContent = model.get("title");
  const plate = make("div", "rp-chart-plate", el);
  const canvas = make("canvas", "rp-chart-canvas", plate);
  canvas.setAttribute("role", "img");
  let [drawing, pointer] = [0, null];
  const redraw = () => {
    if (drawing) return;
    drawing = requestAnimationFrame(() => {
      drawing = 0;
      drawChart(canvas, el, model, pointer);
    });
  };
  const resizes = new ResizeObserver(redraw);
  resizes.observe(plate);
  model.on("change:values change:level", redraw);
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
    model.off("change:values change:level", redraw);
  };
}

function drawChart(canvas, el, model, pointer) {
  const size = fitCanvas(canvas);
  const context = canvas.getContext("2d");
  const values = model.get("values");
  const level = model.get("level");
  const log = model.get("logarithmic");
  canvas.setAttribute("aria-label", `${model.get("title")}: ${values.length ? values[values.length - 1] : "nothing yet"}`);
  context.clearRect(0, 0, size.width, size.height);
  context.font = `11px ${getComputedStyle(el).fontFamily}`;
  const usable = values.concat(level === null ? [] : [level]).filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!usable.length) return;
  const axis = log ? logAxis(usable) : linearAxis(usable);
  const lastDay = Math.max(5, values.length - 1);
  const xOf = (day) => LEFT + (day / lastDay) * (size.width - LEFT - RIGHT);
  const yOf = (value) => size.height - BOTTOM - axis.share(value) * (size.height - TOP - BOTTOM);
  drawGrid(context, el, size, axis, lastDay, xOf, yOf);
  if (level !== null) drawLevel(context, el, size, yOf(level), model.get("level_label"));
  drawLine(context, el, values, log, xOf, yOf);
  if (pointer !== null && values.length) {
    const day = Math.max(0, Math.min(values.length - 1, Math.round(((pointer - LEFT) / (size.width - LEFT - RIGHT)) * lastDay)));
    drawReading(context, el, size, day, values[day], log, xOf, yOf);
  }
}

function linearAxis(values) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (high - low < 1e-9) [low, high] = [low - 0.01 * Math.abs(low || 1), high + 0.01 * Math.abs(high || 1)];
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((round) => round * power).find((round) => round >= rough);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const ticks = [];
  for (let k = 0; low + k * step <= high + step / 2; k++) ticks.push(low + k * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { ticks, text: (value) => value.toFixed(decimals), share: (value) => (value - low) / (high - low) };
}

function logAxis(values) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  const every = Math.ceil((high - low) / 4);
  const ticks = [];
  for (let power = low; power <= high; power += every) ticks.push(10 ** power);
  const raised = (power) => String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  const text = (value) => (value === 1 ? "1" : "10" + raised(Math.round(Math.log10(value))));
  return { ticks, text, share: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
}

function drawGrid(context, el, size, axis, lastDay, xOf, yOf) {
  context.strokeStyle = cssColour(el, "--rp-line");
  context.fillStyle = cssColour(el, "--rp-soft");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.beginPath();
  for (const tick of axis.ticks) {
    const y = Math.round(yOf(tick)) + 0.5;
    context.moveTo(LEFT, y);
    context.lineTo(size.width - RIGHT, y);
    context.fillText(axis.text(tick), LEFT - 6, y);
  }
  context.stroke();
  context.textBaseline = "alphabetic";
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((days) => lastDay / days <= 6) || 5000;
  for (let day = 0; day <= lastDay; day += every) {
    context.textAlign = day === 0 ? "left" : "center";
    context.fillText(day === 0 ? "day 0" : String(day), day === 0 ? LEFT - 4 : xOf(day), size.height - 5);
  }
}

function drawLevel(context, el, size, y, label) {
  context.strokeStyle = context.fillStyle = cssColour(el, "--rp-level");
  context.setLineDash([4, 3]);
  context.beginPath();
  context.moveTo(LEFT, y);
  context.lineTo(size.width - RIGHT, y);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "right";
  context.fillText(label, size.width - RIGHT, y - 4 < 14 ? y + 12 : y - 4);
}

function drawLine(context, el, values, log, xOf, yOf) {
  context.strokeStyle = context.fillStyle = cssColour(el, "--rp-accent");
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  let begun = false;
  values.forEach((value, day) => {
    if (log && !(value > 0)) return;
    if (begun) context.lineTo(xOf(day), yOf(value));
    else context.moveTo(xOf(day), yOf(value));
    begun = true;
  });
  context.stroke();
  const last = values.length - 1;
  if (last < 0 || (log && !(values[last] > 0))) return;
  context.beginPath();
  context.arc(xOf(last), yOf(values[last]), 3.5, 0, 2 * Math.PI);
  context.fill();
}

function drawReading(context, el, size, day, value, log, xOf, yOf) {
  const text = `day ${day}: ${log ? value.toExponential(1) : value.toFixed(4)}`;
  const x = xOf(day);
  context.strokeStyle = cssColour(el, "--rp-soft");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, TOP);
  context.lineTo(x, size.height - BOTTOM);
  context.stroke();
  const width = context.measureText(text).width + 10;
  const left = Math.max(LEFT, Math.min(size.width - width, x - width / 2));
  context.fillStyle = cssColour(el, "--rp-panel");
  context.fillRect(left, TOP - 4, width, 17);
  context.fillStyle = cssColour(el, "--rp-ink");
  context.textAlign = "left";
  context.fillText(text, left + 5, TOP + 8);
}

export default { render };
