// The streets as typed arrays, the view on them, and the search for the link under the pointer.

const FULL = 65535;
const GRID = 96; // cells a side of the search grid

// Reads the bytes that dashboard/streets.py describes.
function readStreets(view) {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const [nLinks, nPoints] = new Uint32Array(bytes, 0, 2);
  const start = new Uint32Array(bytes, 16, nLinks + 1);
  const xy = new Uint16Array(bytes, 16 + 4 * (nLinks + 1), 2 * nPoints);
  const hasTwin = new Uint8Array(bytes, 16 + 4 * (nLinks + 1) + 4 * nPoints, nLinks);
  const box = new Float32Array(4 * nLinks); // of each link: least x, y, greatest x, y
  const along = new Float32Array(nPoints); // of each point: how much of its link lies before it, 0 to 1
  const side = new Float32Array(2 * nLinks); // unit vector to the right of each link, as it is driven
  const places = new Set(); // joints: where links begin and end
  let sum = 0;
  for (let link = 0; link < nLinks; link++) {
    let [left, low, right, high] = [FULL, FULL, 0, 0];
    for (let p = start[link]; p < start[link + 1]; p++) {
      left = Math.min(left, xy[2 * p]);
      right = Math.max(right, xy[2 * p]);
      low = Math.min(low, xy[2 * p + 1]);
      high = Math.max(high, xy[2 * p + 1]);
    }
    box.set([left, low, right, high], 4 * link);
    measure(start, xy, along, link);
    const [first, last] = [start[link], start[link + 1] - 1];
    const [dx, dy] = [xy[2 * last] - xy[2 * first], xy[2 * last + 1] - xy[2 * first + 1]];
    const length = Math.hypot(dx, dy);
    if (length > 0) side.set([dy / length, -dx / length], 2 * link);
    sum += length;
    if (nLinks <= 1000) {
      places.add(xy[2 * first] * 65536 + xy[2 * first + 1]);
      places.add(xy[2 * last] * 65536 + xy[2 * last + 1]);
    }
  }
  const joints = Array.from(places, (place) => [Math.floor(place / 65536), place % 65536]);
  return { nLinks, start, xy, along, hasTwin, box, side, joints, meanLength: nLinks ? sum / nLinks : 1, grid: null };
}

function measure(start, xy, along, link) {
  let length = 0;
  for (let p = start[link] + 1; p < start[link + 1]; p++) {
    length += Math.hypot(xy[2 * p] - xy[2 * p - 2], xy[2 * p + 1] - xy[2 * p - 1]);
    along[p] = length;
  }
  for (let p = start[link] + 1; length > 0 && p < start[link + 1]; p++) along[p] /= length;
}

// A view maps the streets' units to pixels: x * scale + left, bottom - y * scale.
function fittedView(extent, size) {
  const longest = Math.max(extent.width, extent.height);
  const [width, height] = [(FULL * extent.width) / longest, (FULL * extent.height) / longest];
  const margin = 22;
  const scale = Math.max(1e-6, Math.min((size.width - 2 * margin) / width, (size.height - 2 * margin) / height));
  return { scale, left: (size.width - width * scale) / 2, bottom: (size.height + height * scale) / 2 };
}

function zoomedView(view, factor, x, y) {
  return { scale: view.scale * factor, left: x - (x - view.left) * factor, bottom: y - (y - view.bottom) * factor };
}

// Links by the grid cells their boxes touch, in compressed rows.
function searchGrid(streets) {
  const cell = (value) => Math.min(GRID - 1, Math.floor((value * GRID) / (FULL + 1)));
  const count = new Uint32Array(GRID * GRID + 1);
  const each = (visit) => {
    for (let link = 0; link < streets.nLinks; link++) {
      const [left, low, right, high] = streets.box.subarray(4 * link, 4 * link + 4);
      for (let row = cell(low); row <= cell(high); row++) {
        for (let column = cell(left); column <= cell(right); column++) visit(row * GRID + column, link);
      }
    }
  };
  each((at) => count[at + 1]++);
  for (let at = 0; at < GRID * GRID; at++) count[at + 1] += count[at];
  const links = new Uint32Array(count[GRID * GRID]);
  const next = count.slice();
  each((at, link) => (links[next[at]++] = link));
  return { start: count, links, cell };
}

// The link drawn nearest to a pixel, or -1 when none is within `reach` pixels.
function linkAt(streets, view, x, y, reach, offsetOf) {
  streets.grid = streets.grid || searchGrid(streets);
  const grid = streets.grid;
  const margin = (reach + 6) / view.scale;
  const [mapX, mapY] = [(x - view.left) / view.scale, (view.bottom - y) / view.scale];
  const bound = (value) => grid.cell(Math.max(0, Math.min(FULL, value)));
  let [best, bestDistance] = [-1, reach];
  for (let row = bound(mapY - margin); row <= bound(mapY + margin); row++) {
    for (let column = bound(mapX - margin); column <= bound(mapX + margin); column++) {
      for (let k = grid.start[row * GRID + column]; k < grid.start[row * GRID + column + 1]; k++) {
        const distance = distanceTo(streets, view, grid.links[k], x, y, offsetOf);
        if (distance < bestDistance) [best, bestDistance] = [grid.links[k], distance];
      }
    }
  }
  return best;
}

function distanceTo(streets, view, link, x, y, offsetOf) {
  const shift = offsetOf(link);
  const [shiftX, shiftY] = [streets.side[2 * link] * shift, -streets.side[2 * link + 1] * shift];
  let least = Infinity;
  for (let p = streets.start[link] + 1; p < streets.start[link + 1]; p++) {
    const ax = streets.xy[2 * p - 2] * view.scale + view.left + shiftX;
    const ay = view.bottom - streets.xy[2 * p - 1] * view.scale + shiftY;
    const bx = streets.xy[2 * p] * view.scale + view.left + shiftX;
    const by = view.bottom - streets.xy[2 * p + 1] * view.scale + shiftY;
    const [dx, dy] = [bx - ax, by - ay];
    const square = dx * dx + dy * dy;
    const along = square > 0 ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
    least = Math.min(least, Math.hypot(x - ax - along * dx, y - ay - along * dy));
  }
  return least;
}
