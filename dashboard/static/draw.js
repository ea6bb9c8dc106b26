// Drawing one map: links gathered by class, one path a class, what matters last and on top.

const WIDTHS = [0.8, 1.5, 2.5, 3.8];

// Lines grow as one zooms in, so that a street stays a street.
function lineGrowth(streets, view) {
  return Math.max(1, Math.min(2.4, (streets.meanLength * view.scale) / 16));
}

// How far a link is drawn to its right, so that both directions show; nothing while they are a pixel apart anyway.
function offsetRule(streets, view, classes) {
  const growth = lineGrowth(streets, view);
  if (growth <= 1) return () => 0;
  return (link) => (streets.hasTwin[link] ? (WIDTHS[classes ? classes[link] >> 4 : 0] * growth) / 2 + 0.5 : 0);
}

function visibleLinks(streets, view, size) {
  const [left, right] = [-view.left / view.scale, (size.width - view.left) / view.scale];
  const [low, high] = [(view.bottom - size.height) / view.scale, view.bottom / view.scale];
  const seen = [];
  for (let link = 0, at = 0; link < streets.nLinks; link++, at += 4) {
    const box = streets.box;
    if (box[at + 2] >= left && box[at] <= right && box[at + 3] >= low && box[at + 1] <= high) seen.push(link);
  }
  return seen;
}

function tracePath(context, streets, view, link, shift) {
  const left = view.left + streets.side[2 * link] * shift;
  const bottom = view.bottom - streets.side[2 * link + 1] * shift;
  const { start, xy } = streets;
  const last = start[link + 1] - 1;
  let p = start[link];
  let x = xy[2 * p] * view.scale + left;
  let y = bottom - xy[2 * p + 1] * view.scale;
  context.moveTo(x, y);
  for (p += 1; p <= last; p++) {
    const nextX = xy[2 * p] * view.scale + left;
    const nextY = bottom - xy[2 * p + 1] * view.scale;
    // Bends that no eye can see cost as much as the others.
    if (p < last && Math.abs(nextX - x) + Math.abs(nextY - y) < 1.5) continue;
    context.lineTo((x = nextX), (y = nextY));
  }
}

// The streets without traffic, drawn once a view: most links are quiet, so a frame has only the others to draw. Both maps share it.
function baseLayer(streets, view, size, ratio, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const seen = visibleLinks(streets, view, size);
  strokeLinks(context, streets, view, seen, offsetRule(streets, view, null), colour, WIDTHS[0] * lineGrowth(streets, view));
  return { canvas, seen };
}

function strokeLinks(context, streets, view, links, offsetOf, colour, width) {
  // Round ends are dear, and too small to be seen while the whole city is in view.
  const near = lineGrowth(streets, view) > 1;
  context.lineJoin = near ? "round" : "bevel";
  context.lineCap = near ? "round" : "butt";
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const link of links) tracePath(context, streets, view, link, offsetOf(link));
  context.stroke();
  if (streets.meanLength * view.scale > 70) drawArrows(context, streets, view, links, offsetOf, width);
}

// The links of one map with their traffic, drawn once a view and traffic: most frames only move vehicles.
// `classes` holds a byte a link (colour | width << 4), or null for streets without traffic.
function linkLayer(layer, streets, view, base, size, ratio, classes, colours, palette, ink) {
  const canvas = layer || document.createElement("canvas");
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.drawImage(base.canvas, 0, 0, size.width, size.height);
  const growth = lineGrowth(streets, view);
  const offsetOf = offsetRule(streets, view, classes);
  const middle = quietColour(colours, palette);
  const groups = new Map();
  for (const link of classes ? base.seen : []) {
    const key = classes[link];
    if (key === middle) continue;
    const group = groups.get(key);
    if (group) group.push(link);
    else groups.set(key, [link]);
  }
  const weight = (key) => Math.abs((key & 15) - middle) * 16 + (key >> 4);
  for (const key of Array.from(groups.keys()).sort((a, b) => weight(a) - weight(b))) {
    strokeLinks(context, streets, view, groups.get(key), offsetOf, colours[key & 15], WIDTHS[key >> 4] * growth);
  }
  drawJoints(context, streets, view, ink);
  return canvas;
}

const MARK_PLAIN = 0;
const MARK_CONTRACT = 1;
const MARK_FOLLOWED = 2;

// Where on the canvas a vehicle's word puts it; the driven part counts along the link.
function placeVehicle(streets, view, word, offsetOf, place) {
  const link = word >>> 12;
  const { start, xy, along, side } = streets;
  const driven = (((word >>> 2) & 1023) + 0.5) / 1024;
  const [first, last] = [start[link], start[link + 1] - 1];
  let p = first + 1;
  while (p < last && along[p] < driven) p++;
  const span = along[p] - along[p - 1];
  const share = span > 0 ? (driven - along[p - 1]) / span : 0;
  const x = xy[2 * p - 2] + share * (xy[2 * p] - xy[2 * p - 2]);
  const y = xy[2 * p - 1] + share * (xy[2 * p + 1] - xy[2 * p - 1]);
  const shift = offsetOf(link);
  place.x = x * view.scale + view.left + side[2 * link] * shift;
  place.y = view.bottom - y * view.scale - side[2 * link + 1] * shift;
}

function drawVehicles(context, streets, view, size, words, classes, inks) {
  const offsetOf = offsetRule(streets, view, classes);
  const near = Math.min(3, lineGrowth(streets, view));
  const far = near <= 1; // the whole city: small enough to leave the streets' colours to be seen
  const place = { x: 0, y: 0 };
  for (const [mark, ink, width] of [
    [MARK_PLAIN, inks.plain, far ? 1 : 1.7 * near],
    [MARK_CONTRACT, inks.contract, far ? 1.4 : 2.5 * near],
  ]) {
    const seen = [];
    for (let k = 0; k < words.length; k++) {
      if ((words[k] & 3) !== mark) continue;
      placeVehicle(streets, view, words[k], offsetOf, place);
      if (place.x < -4 || place.y < -4 || place.x > size.width + 4 || place.y > size.height + 4) continue;
      seen.push(place.x, place.y);
    }
    // A rim of the ground's colour keeps vehicles apart from dark streets.
    if (!far) drawSquares(context, seen, width + 1.4, inks.ground);
    drawSquares(context, seen, width, ink);
  }
  for (let k = 0; k < words.length; k++) {
    if ((words[k] & 3) !== MARK_FOLLOWED) continue;
    placeVehicle(streets, view, words[k], offsetOf, place);
    context.lineWidth = 2.5;
    context.strokeStyle = inks.followed;
    context.fillStyle = inks.ground;
    context.beginPath();
    context.arc(place.x, place.y, 6, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

function drawSquares(context, places, width, ink) {
  context.fillStyle = ink;
  for (let k = 0; k < places.length; k += 2) context.fillRect(places[k] - width / 2, places[k + 1] - width / 2, width, width);
}

// The vehicle nearest to a pixel, as its position among the words, or -1.
function vehicleAt(streets, view, words, classes, x, y, reach) {
  const offsetOf = offsetRule(streets, view, classes);
  const place = { x: 0, y: 0 };
  let [best, bestDistance] = [-1, reach];
  for (let k = 0; k < words.length; k++) {
    placeVehicle(streets, view, words[k], offsetOf, place);
    const distance = Math.hypot(place.x - x, place.y - y);
    if (distance < bestDistance) [best, bestDistance] = [k, distance];
  }
  return best;
}

// A way on top of everything, with a rim of the ground's colour.
function drawRoute(context, streets, view, links, inks, dashed) {
  context.lineJoin = "round";
  context.lineCap = "round";
  context.beginPath();
  for (const link of links) if (link < streets.nLinks) tracePath(context, streets, view, link, 0);
  context.strokeStyle = inks.ground;
  context.lineWidth = 6;
  context.stroke();
  context.strokeStyle = dashed ? inks.old : inks.route;
  context.lineWidth = dashed ? 2.5 : 3.5;
  context.setLineDash(dashed ? [1, 6] : []);
  context.stroke();
  context.setLineDash([]);
}

// The class of streets where there is nothing to tell.
function quietColour(colours, palette) {
  return palette === "diverging" ? (colours.length - 1) / 2 : 0;
}

function drawArrows(context, streets, view, links, offsetOf, lineWidth) {
  const reach = Math.max(5, lineWidth * 1.3);
  context.fillStyle = context.strokeStyle;
  context.beginPath();
  for (const link of links) {
    const { start, xy, side } = streets;
    const p = Math.ceil((start[link] + start[link + 1] - 1) / 2);
    const [dx, dy] = [xy[2 * p] - xy[2 * p - 2], xy[2 * p + 1] - xy[2 * p - 1]];
    const length = Math.hypot(dx, dy) || 1;
    const [ux, uy] = [dx / length, -dy / length];
    const shift = offsetOf(link);
    const even = (start[link + 1] - start[link]) % 2 === 0;
    const along = even ? 0.5 : 1; // an odd number of points has one in the middle
    const x = (xy[2 * p - 2] + along * dx) * view.scale + view.left + side[2 * link] * shift;
    const y = view.bottom - (xy[2 * p - 1] + along * dy) * view.scale - side[2 * link + 1] * shift;
    context.moveTo(x + ux * reach * 1.3, y + uy * reach * 1.3);
    context.lineTo(x - ux * reach - uy * reach, y - uy * reach + ux * reach);
    context.lineTo(x - ux * reach + uy * reach, y - uy * reach - ux * reach);
    context.closePath();
  }
  context.fill();
}

function drawJoints(context, streets, view, ink) {
  if (streets.meanLength * view.scale < 24) return;
  context.fillStyle = ink;
  context.beginPath();
  for (const [x, y] of streets.joints) {
    const [left, top] = [x * view.scale + view.left, view.bottom - y * view.scale];
    context.moveTo(left + 3.5, top);
    context.arc(left, top, 3.5, 0, 2 * Math.PI);
  }
  context.fill();
}

function drawMark(context, streets, view, link, shift, classes, growth) {
  context.strokeStyle = cssColour(context.canvas, "--rp-new");
  context.lineWidth = WIDTHS[classes ? classes[link] >> 4 : 0] * growth + 3;
  context.beginPath();
  tracePath(context, streets, view, link, shift);
  context.stroke();
}
