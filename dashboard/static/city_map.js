// One or two maps of the same streets under one view: zoom, pan, hover and click, legend, scale bar; and the page's keyboard.

const ROUND_LENGTHS = [1, 2, 5];

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
    this.theme = "light";
    this.pointed = -1;
    this.pinned = -1;
    this.drag = null;
    this.drawing = 0;
    this.build();
    this.listen();
    this.takeStreets();
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
    this.legend = make("div", "rp-legend", this.el);
  }

  listen() {
    this.undo = [];
    const watch = (name, act) => {
      this.model.on(name, act);
      this.undo.push(() => this.model.off(name, act));
    };
    watch("change:streets", () => this.takeStreets());
    watch("change:frame_number", () => this.takeFrame());
    watch("change:card", () => this.placeCard());
    watch("change:address", () => this.takeAddress());
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
    this.view = null;
    this.unpin();
    this.redraw();
  }

  takeFrame() {
    const view = this.model.get("frame");
    const panes = this.model.get("panes");
    this.classes = [];
    if (view && view.byteLength) {
      const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
      const [, nLinks, nVehicles, nMaps] = new Uint32Array(bytes, 0, 4);
      for (let at = 16 + 4 * nVehicles, k = 0; k < nMaps; k++, at += nLinks) this.classes.push(new Uint8Array(bytes, at, nLinks));
    }
    this.panes.forEach((pane, number) => {
      pane.box.hidden = number >= panes.length;
      if (number >= panes.length) return;
      pane.title.replaceChildren();
      make("strong", "", pane.title).textContent = panes[number][0];
      make("span", "", pane.title).textContent = panes[number][1];
      pane.canvas.setAttribute("aria-label", panes[number].join(". "));
    });
    this.drawLegend();
    this.redraw();
  }

  takeAddress() {
    const query = this.model.get("address");
    if (query && query !== location.search) history.replaceState(history.state, "", query);
  }

  redraw() {
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = 0;
    const streets = this.streets;
    this.notice.textContent = streets && streets.nLinks === 0 ? "This network has no coordinates to draw." : "";
    if (streets) {
      const scale = this.model.get("scale");
      const palette = scale.palette || "sequential";
      const ink = cssColour(this.el, "--rp-ink");
      for (const [number, pane] of this.panes.entries()) {
        if (pane.box.hidden || !pane.canvas.clientWidth) continue;
        const classes = this.classes[number] && this.classes[number].length === streets.nLinks ? this.classes[number] : null;
        const view = this.viewOf(pane.canvas);
        const colours = PALETTES[this.theme][palette];
        const base = this.baseFor(pane.canvas, view, colours[quietColour(colours, palette)]);
        drawMap(pane.canvas, streets, view, base, classes, colours, palette, this.marked(), ink);
        this.drawBar(pane, view);
      }
    } else {
      for (const pane of this.panes) {
        const size = fitCanvas(pane.canvas);
        pane.canvas.getContext("2d").clearRect(0, 0, size.width, size.height);
        pane.bar.hidden = true;
      }
    }
    const number = this.model.get("frame_number");
    if (this.model.get("drawn_number") !== number) {
      this.model.set("drawn_number", number);
      this.model.save_changes();
    }
  }

  baseFor(canvas, view, colour) {
    const size = { width: canvas.clientWidth, height: canvas.clientHeight };
    const ratio = window.devicePixelRatio || 1;
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
    const scale = this.model.get("scale");
    this.legend.replaceChildren();
    if (!scale.breaks) return;
    make("span", "rp-legend-title", this.legend).textContent = scale.title;
    make("span", "rp-legend-end", this.legend).textContent = scale.low;
    const bar = make("span", "rp-legend-bar", this.legend);
    PALETTES[this.theme][scale.palette].forEach((colour, k, colours) => {
      const step = make("span", "rp-legend-step", bar);
      make("i", "", step).style.background = colour;
      if (k < colours.length - 1) make("b", "", step).textContent = signed(scale.breaks[k], scale.palette);
    });
    make("span", "rp-legend-end", this.legend).textContent = scale.high;
    make("span", "rp-legend-end", this.legend).textContent = "· wider: more vehicles";
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
    this.point(event);
    this.pinned = this.pointed;
    this.card.classList.toggle("rp-pinned", this.pinned >= 0);
    this.redraw();
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
    const [width, height] = [this.card.offsetWidth, this.card.offsetHeight];
    const left = this.pointer.x + 16 + width > this.el.clientWidth ? this.pointer.x - width - 16 : this.pointer.x + 16;
    const top = Math.min(this.pointer.y + 12, this.el.clientHeight - height - 4);
    this.card.style.left = `${Math.max(0, left)}px`;
    this.card.style.top = `${Math.max(0, top)}px`;
  }

  // A control that has the keyboard's focus keeps its keys; one that was clicked gives them back to the page.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.closest("input, textarea, select, [role=slider], [role=listbox], [role=combobox], [role=option]")) return;
    const control = target.closest("button, a, [role=button], [tabindex]");
    const acts = {
      " ": () => this.model.send({ key: "space" }),
      ArrowRight: () => this.model.send({ key: "right" }),
      r: () => this.model.send({ key: "r" }),
      "+": () => this.zoom(1.6),
      "=": () => this.zoom(1.6),
      "-": () => this.zoom(1 / 1.6),
      0: () => this.fit(),
      Escape: () => this.unpin(),
    };
    const act = acts[event.key];
    if (!act || (event.key === " " && control && control.matches(":focus-visible"))) return;
    if (event.key === " " && control) control.blur();
    event.preventDefault();
    act();
  }
}

function signed(number, palette) {
  const text = String(Number(Math.abs(number).toPrecision(3)));
  return (number < 0 ? "−" : palette === "diverging" ? "+" : "") + text;
}

export default { render };
