// Lines over a common axis on a small canvas; used by the charts and by the card of a link.

const LEFT = 46;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;

// `plot`: {series: [{name, ink, values, dashed}], levels: [{value, name, ink}], band: [low, high] | null, first, step, axis: "day" |
// "clock", log, decimals}. Values may be null where there is nothing.
function drawPlot(canvas, el, plot, pointer) {
  const size = fitCanvas(canvas);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, size.width, size.height);
  context.font = `11px ${getComputedStyle(el).fontFamily}`;
  const length = Math.max(0, ...plot.series.map((line) => line.values.length));
  const ok = (value) => value !== null && Number.isFinite(value) && (!plot.log || value > 0);
  const usable = plot.series.flatMap((line) => line.values.filter(ok)).concat(plot.levels.map((level) => level.value).filter(ok));
  if (plot.band) usable.push(...plot.band.filter(ok));
  if (!usable.length) return;
  const axis = plot.log ? logAxis(usable) : linearAxis(usable);
  const last = plot.axis === "day" ? Math.max(5, length - 1) : Math.max(1, (plot.count || length) - 1);
  const frame = {
    size,
    last,
    xOf: (index) => LEFT + (index / last) * (size.width - LEFT - RIGHT),
    yOf: (value) => size.height - BOTTOM - axis.share(value) * (size.height - TOP - BOTTOM),
  };
  drawGrid(context, el, plot, axis, frame);
  if (plot.band) drawBand(context, el, plot.band, frame);
  for (const level of plot.levels) if (ok(level.value)) drawLevel(context, el, level, frame);
  for (const line of plot.series) drawLine(context, el, line, ok, frame);
  if (pointer !== null && length) {
    const index = Math.max(0, Math.min(length - 1, Math.round(((pointer - LEFT) / (size.width - LEFT - RIGHT)) * last)));
    drawReading(context, el, plot, index, axis, frame);
  }
}

function linearAxis(values) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === 0 && high === 0) high = 1;
  if (high - low < 1e-9) [low, high] = [low - 0.01 * Math.abs(low || 1), high + 0.01 * Math.abs(high || 1)];
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((round) => round * power).find((round) => round >= rough * 0.999);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const ticks = [];
  for (let k = 0; low + k * step <= high + step / 2; k++) ticks.push(low + k * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const text = (value) => (high >= 1e6 ? `${Number((value / 1e6).toPrecision(4))} M` : high >= 10000 ? `${Number((value / 1e3).toPrecision(4))} k` : value.toFixed(decimals));
  return { ticks, text, decimals, share: (value) => (value - low) / (high - low) };
}

function logAxis(values) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  const every = Math.ceil((high - low) / 4);
  const ticks = [];
  for (let power = low; power <= high; power += every) ticks.push(10 ** power);
  const raised = (power) => String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  const text = (value) => (value === 1 ? "1" : "10" + raised(Math.round(Math.log10(value))));
  return { ticks, text, decimals: 2, share: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
}

function timeText(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")}`;
}

function drawGrid(context, el, plot, axis, { size, last, xOf, yOf }) {
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
  if (plot.axis === "day") {
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((days) => last / days <= 6) || 5000;
    for (let day = 0; day <= last; day += every) {
      context.textAlign = day === 0 ? "left" : "center";
      context.fillText(day === 0 ? "day 0" : String(day), day === 0 ? LEFT - 4 : xOf(day), size.height - 5);
    }
    return;
  }
  const end = plot.first + last * plot.step;
  const every = [300, 600, 900, 1800, 3600, 7200, 14400, 28800].find((seconds) => (end - plot.first) / seconds <= 5) || 86400;
  for (let time = Math.ceil(plot.first / every) * every; time <= end; time += every) {
    context.textAlign = time === 0 ? "left" : time > end - every / 2 ? "right" : "center";
    context.fillText(timeText(time), xOf((time - plot.first) / plot.step), size.height - 5);
  }
}

function drawBand(context, el, [low, high], { size, yOf }) {
  context.fillStyle = cssColour(el, "--rp-level");
  context.globalAlpha = 0.18;
  const top = yOf(high);
  context.fillRect(LEFT, top, size.width - LEFT - RIGHT, Math.max(2, yOf(low) - top));
  context.globalAlpha = 1;
}

function drawLevel(context, el, level, { size, yOf }) {
  const y = yOf(level.value);
  context.strokeStyle = context.fillStyle = cssColour(el, level.ink);
  context.setLineDash([4, 3]);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(LEFT, y);
  context.lineTo(size.width - RIGHT, y);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "right";
  context.fillText(level.name, size.width - RIGHT, y - 4 < 14 ? y + 12 : y - 4);
}

function drawLine(context, el, line, ok, { xOf, yOf }) {
  context.strokeStyle = context.fillStyle = cssColour(el, line.ink);
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.setLineDash(line.dashed ? [5, 4] : []);
  context.beginPath();
  let begun = false;
  let end = -1;
  line.values.forEach((value, index) => {
    if (!ok(value)) return;
    if (begun) context.lineTo(xOf(index), yOf(value));
    else context.moveTo(xOf(index), yOf(value));
    begun = true;
    end = index;
  });
  context.stroke();
  context.setLineDash([]);
  if (end < 0) return;
  context.beginPath();
  context.arc(xOf(end), yOf(line.values[end]), 3, 0, 2 * Math.PI);
  context.fill();
}

function drawReading(context, el, plot, index, axis, { size, xOf }) {
  const when = plot.axis === "day" ? `day ${index}` : timeText(plot.first + index * plot.step);
  const shown = (value) => (plot.log ? value.toExponential(1) : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(Math.max(plot.decimals, axis.decimals)));
  const parts = plot.series
    .filter((line) => index < line.values.length && line.values[index] !== null)
    .map((line) => (line.name && plot.series.length > 1 ? `${line.name} ` : "") + shown(line.values[index]));
  const text = `${when}: ${parts.join(", ")}`;
  const x = xOf(index);
  context.strokeStyle = cssColour(el, "--rp-soft");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, TOP);
  context.lineTo(x, size.height - BOTTOM);
  context.stroke();
  const width = context.measureText(text).width + 10;
  const left = Math.max(2, Math.min(size.width - width, x - width / 2));
  context.fillStyle = cssColour(el, "--rp-panel");
  context.fillRect(left, TOP - 4, width, 17);
  context.fillStyle = cssColour(el, "--rp-ink");
  context.textAlign = "left";
  context.fillText(text, left + 5, TOP + 8);
}
