// One or two maps of the same streets under one view: zoom, pan, hover and click, vehicles, clock, legend; and the page's keyboard.

const ROUND_LENGTHS = [1, 2, 5];
const NO_CLOCK = 0xffffffff;

function render({ model, el }) {
  const map = new CityMap(model, el);
  return () => map.end();
}

class CityMap {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    el.classList.add("rp-citymap");
    this.streets = null;
    this.view = null; // null: fitted to the canvas
    this.classes = [];
    this.vehicles = [];
    this.layers = [null, null];
    this.theme = "light";
    this.pointed = -1;
    this.pinned = -1;
    this.drag = null;
    this.drawing = 0;
    this.drawn = 0; // frames, for whoever measures
    this.build();
    this.listen();
    this.takeStreets();
    this.takeHead();
    this.takeFrame();
  }

  build() {
    const plates = make("div", "rp-plates", this.el);
    this.panes = [0, 1].map((number) => {
      const box = make("figure", "rp-pane", plates);
      const title = make("figcaption", "rp-pane-title", box);
      const plate = make("div", "rp-plate", box);
      const canvas = make("canvas", "rp-map", plate);
      canvas.setAttribute("role", "img");
      canvas.dataset.pane = String(number);
      return { box, title, plate, canvas, bar: make("div", "rp-scalebar", plate) };
    });
    this.card = make("div", "rp-card", this.el);
    this.notice = make("div", "rp-map-notice", this.panes[0].plate);
    this.clock = make("div", "rp-clock", this.panes[0].plate);
    this.clock.title = "Time of the day, from the start of the period";
    const zoom = make("div", "rp-zoom", this.panes[0].plate);
    for (const [text, name, act] of [
      ["+", "Zoom in (+)", () => this.zoom(1.6)],
      ["−", "Zoom out (-)", () => this.zoom(1 / 1.6)],
      ["⤢", "Show all (0)", () => this.fit()],
    ]) {
      const button = make("button", "rp-zoom-button", zoom);
      button.textContent = text;
      button.title = name;
      button.setAttribute("aria-label", name);
      button.addEventListener("click", act);
    }
    const foot = make("div", "rp-map-foot", this.el);
    this.legend = make("div", "rp-legend", foot);
    const save = make("div", "rp-save", foot);
    for (const [text, name, act] of [
      ["Picture", "Save the maps as a PNG picture (p)", () => this.savePicture()],
      ["Data", "Save flows and times of all links as CSV", () => this.model.send({ save: "data" })],
    ]) {
      const button = make("button", `rp-save-button rp-save-${text.toLowerCase()}`, save);
      button.textContent = `⤓ ${text}`;
      button.title = name;
      button.addEventListener("click", act);
    }
  }

  listen() {
    this.undo = [];
    const watch = (name, act) => {
      this.model.on(name, act);
      this.undo.push(() => this.model.off(name, act));
    };
    watch("change:streets", () => this.takeStreets());
    watch("change:head", () => this.takeHead());
    watch("change:frame_number", () => this.takeFrame());
    watch("change:card", () => this.placeCard());
    watch("change:address", () => this.takeAddress());
    watch("msg:custom", (message, buffers) => this.takeMessage(message, buffers));
    this.takeAddress();
    const resizes = new ResizeObserver(() => this.redraw());
    for (const pane of this.panes) {
      resizes.observe(pane.plate);
      pane.plate.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      pane.canvas.addEventListener("pointerdown", (event) => this.press(event));
      pane.canvas.addEventListener("pointermove", (event) => this.move(event));
      pane.canvas.addEventListener("pointerup", (event) => this.release(event));
      pane.canvas.addEventListener("pointerleave", () => this.leave());
      pane.canvas.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
    }
    const keys = (event) => this.key(event);
    document.addEventListener("keydown", keys, true);
    this.undo.push(() => resizes.disconnect(), () => document.removeEventListener("keydown", keys, true));
    this.undo.push(
      onTheme((theme) => {
        this.theme = theme;
        this.drawLegend();
        this.redraw();
      }),
    );
  }

  end() {
    cancelAnimationFrame(this.drawing);
    for (const undo of this.undo) undo();
  }

  takeStreets() {
    const bytes = this.model.get("streets");
    this.streets = bytes && bytes.byteLength ? readStreets(bytes) : null;
    this.extent = this.model.get("extent");
    this.classes = [];
    this.vehicles = [];
    this.view = null;
    this.unpin();
    this.redraw();
  }

  takeHead() {
    const panes = this.model.get("head").panes || [];
    this.panes.forEach((pane, number) => {
      pane.box.hidden = number >= Math.max(1, panes.length);
      pane.title.replaceChildren();
      if (number >= panes.length) return;
      make("strong", "", pane.title).textContent = panes[number][0];
      make("span", "", pane.title).textContent = panes[number][1];
      pane.title.title = panes[number].join(": ");
      pane.canvas.setAttribute("aria-label", panes[number].join(". "));
    });
    this.drawLegend();
    this.redraw();
  }

  takeFrame() {
    const view = this.model.get("frame");
    this.vehicles = [];
    if (view && view.byteLength) {
      const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
      const [clock, nLinks, nMaps] = new Uint32Array(bytes, 0, 4);
      const counts = new Uint32Array(bytes, 16, nMaps);
      let at = 16 + 4 * nMaps;
      for (const count of counts) {
        this.vehicles.push(new Uint32Array(bytes, at, count));
        at += 4 * count;
      }
      if (nLinks) this.classes = Array.from(counts, (_, k) => new Uint8Array(bytes, at + k * nLinks, nLinks));
      this.clock.textContent = clock === NO_CLOCK ? "" : clockText(clock);
    } else {
      this.classes = [];
      this.clock.textContent = "";
    }
    this.redraw();
  }

  takeAddress() {
    const query = this.model.get("address");
    if (query && query !== location.search) history.replaceState(history.state, "", query);
  }

  takeMessage(message, buffers) {
    if (message.download) saveFile(message.download, new Blob([buffers[0]]));
  }

  redraw() {
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    const number = this.model.get("frame_number"), isNew = this.model.get("drawn_number") !== number;
    if (isNew) {
      // Told before the drawing, so that the next frame is on its way meanwhile; there is never more than one behind.
      this.model.set("drawn_number", number);
      this.model.save_changes();
    }
    const streets = this.streets;
    this.notice.textContent = streets && streets.nLinks === 0 ? "This network has no coordinates to draw." : "";
    for (const [place, pane] of this.panes.entries()) {
      const size = fitCanvas(pane.canvas);
      if (pane.box.hidden || !size.width) continue;
      if (streets) this.drawPane(place, pane, size);
      else {
        pane.canvas.getContext("2d").clearRect(0, 0, size.width, size.height);
        pane.bar.hidden = true;
      }
    }
    if (isNew) {
      this.drawn += 1;
      this.el.dataset.drawn = String(this.drawn);
      this.el.dataset.links = String(streets ? streets.nLinks : 0);
      this.el.dataset.vehicles = String(this.vehicles.reduce((sum, words) => sum + words.length, 0));
    }
  }

  drawPane(number, pane, size) {
    const streets = this.streets;
    const head = this.model.get("head");
    const palette = (head.scale && head.scale.palette) || "sequential";
    const classes = this.classes[number] && this.classes[number].length === streets.nLinks ? this.classes[number] : null;
    const view = this.viewOf(pane.canvas);
    const context = pane.canvas.getContext("2d");
    context.clearRect(0, 0, size.width, size.height);
    context.drawImage(this.layerFor(number, size, view, classes, palette), 0, 0, size.width, size.height);
    for (const route of head.routes || []) {
      if (route.pane !== null && route.pane !== number) continue;
      drawRoute(context, streets, view, route.links, this.inks(), route.kind === "old");
    }
    if (this.vehicles[number] && this.vehicles[number].length) {
      drawVehicles(context, streets, view, size, this.vehicles[number], classes, this.inks());
    }
    const marked = this.marked();
    if (marked >= 0 && marked < streets.nLinks) {
      drawMark(context, streets, view, marked, offsetRule(streets, view, classes)(marked), classes, lineGrowth(streets, view));
    }
    this.drawBar(pane, view);
  }

  inks() {
    if (!this.ink || this.ink.theme !== this.theme) {
      const colour = (name) => cssColour(this.el, name);
      this.ink = {
        theme: this.theme,
        plain: colour("--rp-vehicle"),
        contract: colour("--rp-new"),
        followed: colour("--rp-follow"),
        ground: colour("--rp-panel"),
        route: colour("--rp-route"),
        old: colour("--rp-old"),
        joint: colour("--rp-ink"),
      };
    }
    return this.ink;
  }

  // The links of a map, drawn anew only when view, traffic, colours or size are others.
  layerFor(number, size, view, classes, palette) {
    const ratio = window.devicePixelRatio || 1;
    const key = [size.width, size.height, ratio, view.scale, view.left, view.bottom, palette, this.theme].join();
    const now = this.layers[number];
    if (now && now.key === key && now.classes === classes && now.streets === this.streets) return now.canvas;
    const colours = PALETTES[this.theme][palette];
    const base = this.baseFor(size, view, ratio, colours[quietColour(colours, palette)]);
    const canvas = linkLayer(now && now.canvas, this.streets, view, base, size, ratio, classes, colours, palette, this.inks().joint);
    this.layers[number] = { key, classes, streets: this.streets, canvas };
    return canvas;
  }

  baseFor(size, view, ratio, colour) {
    const key = [size.width, size.height, ratio, view.scale, view.left, view.bottom, colour].join();
    if (!this.base || this.base.key !== key || this.base.streets !== this.streets) {
      this.base = { key, streets: this.streets, ...baseLayer(this.streets, view, size, ratio, colour) };
    }
    return this.base;
  }

  viewOf(canvas) {
    return this.view || fittedView(this.extent, { width: canvas.clientWidth, height: canvas.clientHeight });
  }

  marked() {
    return this.pinned >= 0 ? this.pinned : this.pointed;
  }

  drawBar(pane, view) {
    pane.bar.hidden = !this.extent.in_metres;
    if (pane.bar.hidden) return;
    const metresPerPixel = Math.max(this.extent.width, this.extent.height) / FULL / view.scale;
    const most = 120 * metresPerPixel;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = Math.max(...ROUND_LENGTHS.map((round) => round * power).filter((round) => round <= most));
    pane.bar.style.width = `${length / metresPerPixel}px`;
    pane.bar.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  drawLegend() {
    const head = this.model.get("head");
    const scale = head.scale;
    this.legend.replaceChildren();
    if (!scale || !scale.breaks) return;
    make("span", "rp-legend-title", this.legend).textContent = scale.title;
    const line = make("span", "rp-legend-line", this.legend);
    make("span", "rp-legend-end", line).textContent = scale.low;
    const bar = make("span", "rp-legend-bar", line);
    PALETTES[this.theme][scale.palette].forEach((colour, k, colours) => {
      const step = make("span", "rp-legend-step", bar);
      make("i", "", step).style.background = colour;
      if (k < colours.length - 1) make("b", "", step).textContent = signed(scale.breaks[k], scale.palette);
    });
    make("span", "rp-legend-end", line).textContent = scale.high;
    const notes = make("span", "rp-legend-notes", this.legend);
    make("span", "", notes).textContent = "wider: more vehicles";
    if (head.panes.length < 2) return;
    for (const [kind, text] of [
      ["plain", "vehicle"],
      ["contract", "paid to take a detour"],
    ]) {
      make("i", `rp-key rp-key-${kind}`, notes);
      make("span", "", notes).textContent = text;
    }
  }

  // Zooming and panning move both maps.
  zoom(factor, x, y) {
    const canvas = this.panes[0].canvas;
    if (!this.streets) return;
    const now = this.viewOf(canvas);
    const whole = fittedView(this.extent, { width: canvas.clientWidth, height: canvas.clientHeight });
    const kept = Math.max(0.5 * whole.scale, Math.min(400 * whole.scale, now.scale * factor)) / now.scale;
    this.view = zoomedView(now, kept, x === undefined ? canvas.clientWidth / 2 : x, y === undefined ? canvas.clientHeight / 2 : y);
    this.redraw();
  }

  fit() {
    this.view = null;
    this.redraw();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY)) / 320), event.offsetX, event.offsetY);
  }

  press(event) {
    this.drag = { x: event.offsetX, y: event.offsetY, view: this.viewOf(event.target), moved: false };
    event.target.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.drag) {
      const [dx, dy] = [event.offsetX - this.drag.x, event.offsetY - this.drag.y];
      if (!this.drag.moved && Math.hypot(dx, dy) < 4) return;
      this.drag.moved = true;
      this.view = { ...this.drag.view, left: this.drag.view.left + dx, bottom: this.drag.view.bottom + dy };
      this.redraw();
    } else if (this.pinned < 0) {
      this.point(event);
    }
  }

  release(event) {
    const moved = this.drag && this.drag.moved;
    this.drag = null;
    if (moved) return;
    this.unpin();
    if (event.shiftKey && this.pickVehicle(event)) return;
    this.point(event);
    this.pinned = this.pointed;
    this.card.classList.toggle("rp-pinned", this.pinned >= 0);
    this.placeCard();
    this.redraw();
  }

  // With the shift key a click means a vehicle, because in dense traffic there is one on every link.
  pickVehicle(event) {
    const pane = Number(event.target.dataset.pane);
    const words = this.vehicles[pane];
    if (!this.streets || !words || !words.length) return false;
    const view = this.viewOf(event.target);
    const found = vehicleAt(this.streets, view, words, this.classes[pane], event.offsetX, event.offsetY, 9);
    if (found >= 0) this.model.send({ vehicle: [pane, found] });
    return found >= 0;
  }

  leave() {
    if (this.pinned < 0) this.ask(-1);
  }

  point(event) {
    if (!this.streets) return;
    const pane = Number(event.target.dataset.pane);
    const view = this.viewOf(event.target);
    const offsets = offsetRule(this.streets, view, this.classes[pane]);
    const link = linkAt(this.streets, view, event.offsetX, event.offsetY, 9, offsets);
    const home = this.el.getBoundingClientRect();
    this.pointer = { x: event.clientX - home.left, y: event.clientY - home.top };
    event.target.style.cursor = link >= 0 ? "pointer" : "grab";
    this.ask(link);
    this.placeCard();
  }

  ask(link) {
    if (link === this.pointed) return;
    this.pointed = link;
    this.model.set("asked", link);
    this.model.save_changes();
    this.placeCard();
    this.redraw();
  }

  unpin() {
    this.pinned = -1;
    this.card.classList.remove("rp-pinned");
    this.ask(-1);
  }

  placeCard() {
    const content = this.model.get("card");
    const shown = this.pointed >= 0 && content.asked === this.pointed && this.pointer;
    this.card.style.display = shown ? "block" : "none";
    if (!shown) return;
    this.card.replaceChildren();
    make("strong", "", this.card).textContent = content.title;
    make("div", "rp-card-facts", this.card).textContent = content.facts;
    const table = make("table", "", this.card);
    for (const [k, row] of content.rows.entries()) {
      const line = make("tr", "", table);
      for (const [column, text] of row.entries()) {
        const cell = make(k === 0 && row[0] === "" ? "th" : "td", "", line);
        cell.textContent = text;
        if (column === row.length - 1) cell.colSpan = content.rows[0].length - column;
      }
    }
    if (content.plot) {
      make("div", "rp-card-plot-title", this.card).textContent = content.plot.title;
      const canvas = make("canvas", "rp-card-plot", this.card);
      drawPlot(canvas, this.el, content.plot, null);
    }
    if (this.pinned >= 0 && this.model.get("may_close")) {
      const button = make("button", "rp-card-close", this.card);
      button.textContent = "Close this street to traffic";
      button.title = "Solves both worlds again without this link";
      button.addEventListener("click", () => this.model.send({ close: this.pinned }));
    } else if (this.pinned < 0) {
      make("div", "rp-card-hint", this.card).textContent = "Click to keep this open";
    }
    const [width, height] = [this.card.offsetWidth, this.card.offsetHeight];
    const left = this.pointer.x + 16 + width > this.el.clientWidth ? this.pointer.x - width - 16 : this.pointer.x + 16;
    const top = Math.min(this.pointer.y + 12, this.el.clientHeight - height - 4);
    this.card.style.left = `${Math.max(0, left)}px`;
    this.card.style.top = `${Math.max(0, top)}px`;
  }

  savePicture() {
    const shown = this.panes.filter((pane) => !pane.box.hidden);
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.max(...shown.map((pane) => pane.canvas.width)), Math.max(...shown.map((pane) => pane.canvas.height))];
    const canvas = document.createElement("canvas");
    const head = 30 * ratio;
    canvas.width = shown.length * width + (shown.length - 1) * 10 * ratio;
    canvas.height = height + head;
    const context = canvas.getContext("2d");
    context.fillStyle = cssColour(this.el, "--rp-plate");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = cssColour(this.el, "--rp-ink");
    context.font = `${14 * ratio}px ${getComputedStyle(this.el).fontFamily}`;
    const scale = this.model.get("head").scale;
    shown.forEach((pane, k) => {
      const left = k * (width + 10 * ratio);
      const title = (this.model.get("head").panes[k] || [""])[0];
      context.fillText(`${title}  ${k === 0 ? `${this.clock.textContent}  ${scale && scale.title ? scale.title : ""}` : ""}`, left + 8 * ratio, 20 * ratio);
      context.drawImage(pane.canvas, left, head);
    });
    canvas.toBlob((blob) => saveFile("routepact.png", blob));
  }

  // A control that has the keyboard's focus keeps its keys; one that was clicked gives them back to the page.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.closest("input, textarea, select, [role=slider], [role=listbox], [role=combobox], [role=option]")) return;
    const control = target.closest("button, a, [role=button], [tabindex]");
    const tell = (word) => () => this.model.send({ key: word });
    const acts = {
      " ": tell("space"),
      ArrowRight: tell("right"),
      r: tell("r"),
      d: tell("d"),
      c: tell("c"),
      p: () => this.savePicture(),
      "+": () => this.zoom(1.6),
      "=": () => this.zoom(1.6),
      "-": () => this.zoom(1 / 1.6),
      0: () => this.fit(),
      Escape: () => {
        this.unpin();
        this.model.send({ key: "escape" });
      },
    };
    const act = acts[event.key];
    if (!act || (event.key === " " && control && control.matches(":focus-visible"))) return;
    if (event.key === " " && control) control.blur();
    event.preventDefault();
    act();
  }
}

function clockText(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function signed(number, palette) {
  const text = String(Number(Math.abs(number).toPrecision(3)));
  return (number < 0 ? "−" : palette === "diverging" ? "+" : "") + text;
}

export default { render };
