// The map: posterior means of test images in two latents, a point that the user moves, and the present image.

import { ticks } from "./elements.js";

const COLOURS = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#d4a800", "#b07aa1", "#ff7f9a", "#9c755f", "#8c8c8c"];
const MARGIN = { left: 36, bottom: 22 }; // pixels, for the numbers
const MORE = 0.03; // of the range, on each side of the outermost image
const STEPS = 40; // of the arrow keys, across the map
const WIDTHS = [0.01, 4]; // of the narrowest and the widest view, as shares of the whole map
const NEAR = 12; // pixels: from an image whose class is named, and from where a click began

export function colourOf(label, classes) {
  return classes <= COLOURS.length ? COLOURS[label % COLOURS.length] : `hsl(${(360 * label) / classes} 60% 50%)`;
}

export class LatentMap {
  // onPoint(values) is called with the two latents' values under the pointer, onChoose() when a place is chosen.
  constructor(canvas, info, classes, onPoint, onChoose) {
    Object.assign(this, { canvas, info, classes, onPoint, onChoose, axes: [0, 1], point: [0, 0], mark: null });
    Object.assign(this, { view: null, fingers: new Map(), pressed: [0, 0] }); // view: a range for each axis, null for all
    if (info.map.axes.length === 1) this.axes = [0, 0];
    canvas.addEventListener("pointermove", event => this.#moved(event));
    canvas.addEventListener("pointerdown", event => this.#pressed(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, event => this.fingers.delete(event.pointerId));
    canvas.addEventListener("click", event => this.#clicked(event));
    canvas.addEventListener("wheel", event => this.#wheeled(event), { passive: false });
    // One finger may scroll the page, two may not.
    const keep = event => event.touches.length > 1 && event.preventDefault();
    for (const touch of ["touchstart", "touchmove"]) canvas.addEventListener(touch, keep, { passive: false });
    canvas.addEventListener("keydown", event => this.#keyed(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get latents() {
    return this.axes.map(axis => this.info.map.axes[axis]);
  }

  setAxes(across, up) {
    this.axes = [across, up];
    this.view = null;
    this.moveTo(this.latents.map(latent => this.info.center[latent]));
  }

  moveTo(point) {
    this.point = point;
    this.draw();
    this.onPoint(point);
  }

  // The present image: mean and standard deviation of all latents.
  setMark(mean, std) {
    this.mark = { mean, std };
    this.draw();
  }

  showAll() {
    this.view = null;
    this.draw();
  }

  // Narrow the view by a factor below 1, or widen it; the latents `at` stay where they are.
  #zoom(at, factor) {
    const width = ranges => ranges[0][1] - ranges[0][0];
    const [least, most] = WIDTHS.map(share => (share * width(this.#whole())) / width(this.#range()));
    const by = Math.min(Math.max(factor, least), most);
    this.view = this.#range().map((range, axis) => range.map(value => at[axis] + by * (value - at[axis])));
    this.draw();
  }

  // Move the view, so that what was at one place of the canvas is at another.
  #pan(from, to) {
    const [before, after] = [from, to].map(place => this.#toLatents(...place));
    this.view = this.#range().map((range, axis) => range.map(value => value + before[axis] - after[axis]));
    this.draw();
  }

  // The range of each axis that is seen.
  #range() {
    return this.view ?? this.#whole();
  }

  // The range of each axis with all images, and the prior where it is known.
  #whole() {
    return this.latents.map(latent => {
      const [low, high] = [this.info.low[latent], this.info.high[latent]];
      return [low - MORE * (high - low), high + MORE * (high - low)];
    });
  }

  #size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  #toPixels([a, b]) {
    const [[left, right], [bottom, top]] = this.#range();
    const [width, height] = this.#size();
    return [
      MARGIN.left + ((a - left) / (right - left)) * (width - MARGIN.left),
      (1 - (b - bottom) / (top - bottom)) * (height - MARGIN.bottom),
    ];
  }

  #toLatents(x, y) {
    const ranges = this.#range();
    const [width, height] = this.#size();
    const shares = [(x - MARGIN.left) / (width - MARGIN.left), 1 - y / (height - MARGIN.bottom)];
    return shares.map((share, axis) => ranges[axis][0] + share * (ranges[axis][1] - ranges[axis][0]));
  }

  // The nearest latents that are seen.
  #seen(latents) {
    return this.#range().map(([low, high], axis) => Math.min(Math.max(latents[axis], low), high));
  }

  #placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #pressed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pressed = this.#placeOf(event);
    this.fingers.set(event.pointerId, this.pressed);
    if (this.fingers.size === 1 && !event.shiftKey) this.moveTo(this.#seen(this.#toLatents(...this.pressed)));
  }

  #moved(event) {
    const [before, now] = [this.fingers.get(event.pointerId), this.#placeOf(event)];
    if (before !== undefined) this.fingers.set(event.pointerId, now);
    if (this.fingers.size > 1 && before !== undefined) this.#pinch(event.pointerId, before, now);
    else if (before !== undefined && event.shiftKey) this.#pan(before, now);
    else this.moveTo(this.#seen(this.#toLatents(...now)));
  }

  // One of two fingers moved: the latents under the other one stay there.
  #pinch(finger, before, now) {
    const [, [x, y]] = [...this.fingers].find(([other]) => other !== finger);
    const apart = place => Math.max(1, Math.hypot(place[0] - x, place[1] - y));
    this.#zoom(this.#toLatents(x, y), apart(before) / apart(now));
  }

  #clicked(event) {
    const [x, y] = this.#placeOf(event);
    const isDragged = Math.hypot(x - this.pressed[0], y - this.pressed[1]) > NEAR;
    if (!event.shiftKey && !isDragged) this.onChoose();
  }

  #wheeled(event) {
    event.preventDefault();
    const amount = Math.min(Math.max(event.deltaY, -200), 200);
    this.#zoom(this.#toLatents(...this.#placeOf(event)), Math.exp(0.0015 * amount));
  }

  #keyed(event) {
    if (event.ctrlKey || event.metaKey) return; // the browser's own zoom
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    const moveBy = steps => this.moveTo(this.#seen(this.#range().map(([low, high], axis) =>
      this.point[axis] + (steps[axis] * (high - low)) / STEPS)));
    if (event.key in moves) moveBy(moves[event.key]);
    else if (event.key === "Enter") this.onChoose();
    else if (event.key === "+") this.#zoom(this.#seen(this.point), 0.8);
    else if (event.key === "-") this.#zoom(this.#seen(this.point), 1.25);
    else if (event.key === "0") this.showAll();
    else return;
    event.preventDefault();
  }

  draw() {
    const [width, height] = this.#size();
    if (width === 0) return;
    const scale = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const [ink, faint] = [style.color, style.getPropertyValue("--line")];
    this.#drawAxes(context, ink, faint);
    context.beginPath();
    context.rect(MARGIN.left, 0, width - MARGIN.left, height - MARGIN.bottom);
    context.clip();
    if (this.info.is_standard_normal) for (const radius of [1, 2, 3]) this.#drawEllipse(context, [0, 0], [radius, radius], faint);
    else this.#drawPrior(context, ink);
    this.#drawImages(context);
    if (this.mark !== null) this.#drawMark(context, ink);
    this.#drawPoint(context, ink);
  }

  #drawAxes(context, ink, faint) {
    const [width, height] = this.#size();
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = ink;
    context.strokeStyle = faint;
    context.strokeRect(MARGIN.left, 0.5, width - MARGIN.left - 0.5, height - MARGIN.bottom);
    this.#range().forEach(([low, high], axis) => {
      context.textAlign = axis === 0 ? "center" : "right";
      context.textBaseline = axis === 0 ? "top" : "middle";
      for (const value of ticks(low, high)) this.#drawTick(context, axis, value);
      const name = `z${this.latents[axis]}`;
      context.textAlign = axis === 0 ? "right" : "left";
      context.textBaseline = axis === 0 ? "bottom" : "top";
      if (axis === 0) context.fillText(name, width - 6, height - MARGIN.bottom - 4);
      else context.fillText(name, MARGIN.left + 6, 6);
    });
  }

  // A number of an axis; at the ends it moves inwards, so that all of it is seen.
  #drawTick(context, axis, value) {
    const [width, height] = this.#size();
    const [name, [x, y]] = [String(value).replace("-", "−"), this.#toPixels([value, value])];
    const half = context.measureText(name).width / 2 + 1;
    if (axis === 0) context.fillText(name, Math.min(Math.max(x, MARGIN.left), width - half), height - MARGIN.bottom + 5);
    else context.fillText(name, MARGIN.left - 4, Math.min(Math.max(y, 7), height - MARGIN.bottom - 4));
  }

  #drawEllipse(context, center, radii, colour) {
    const [x, y] = this.#toPixels(center);
    const [right, top] = this.#toPixels(center.map((value, axis) => value + radii[axis]));
    context.strokeStyle = colour;
    context.beginPath();
    context.ellipse(x, y, Math.abs(right - x), Math.abs(y - top), 0, 0, 2 * Math.PI);
    context.stroke();
  }

  #drawDot(context, latents, radius) {
    context.beginPath();
    context.arc(...this.#toPixels(latents), radius, 0, 2 * Math.PI);
    context.fill();
  }

  #drawPrior(context, ink) {
    context.globalAlpha = 0.3;
    context.fillStyle = ink;
    for (const sample of this.info.prior_samples ?? []) this.#drawDot(context, this.latents.map(latent => sample[latent]), 2);
    context.globalAlpha = 1;
  }

  #imageAt(index) {
    return this.axes.map(axis => this.info.map.means[index][axis]);
  }

  #drawImages(context) {
    context.globalAlpha = 0.75;
    this.info.map.labels.forEach((label, index) => {
      context.fillStyle = colourOf(label, this.classes);
      this.#drawDot(context, this.#imageAt(index), 2.4);
    });
    context.globalAlpha = 1;
  }

  #drawMark(context, ink) {
    const mean = this.latents.map(latent => this.mark.mean[latent]);
    const radii = this.latents.map(latent => this.mark.std[latent]);
    context.lineWidth = 2;
    if (Math.max(...radii) > 0) this.#drawEllipse(context, mean, radii, ink);
    context.fillStyle = ink;
    this.#drawDot(context, mean, 4);
    context.lineWidth = 1;
  }

  #drawPoint(context, ink) {
    const [x, y] = this.#toPixels(this.point);
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 3 * dx, y + 3 * dy);
      context.lineTo(x + 10 * dx, y + 10 * dy);
    }
    context.stroke();
    context.lineWidth = 1;
    this.#drawClass(context, ink, x, y);
  }

  // The class of the image next to the point, as colours alone are hard to tell apart.
  #drawClass(context, ink, x, y) {
    let [best, least] = [null, NEAR ** 2];
    this.info.map.labels.forEach((label, index) => {
      const [left, top] = this.#toPixels(this.#imageAt(index));
      const distance = (left - x) ** 2 + (top - y) ** 2;
      if (distance < least) [best, least] = [label, distance];
    });
    if (best === null || this.classes < 2) return;
    const isRight = x > this.#size()[0] - 40;
    context.font = "bold 13px system-ui, sans-serif";
    context.textAlign = isRight ? "right" : "left";
    context.textBaseline = y < 24 ? "top" : "bottom";
    context.fillStyle = ink;
    context.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--card");
    context.lineWidth = 4;
    for (const paint of ["strokeText", "fillText"]) context[paint](String(best), x + (isRight ? -6 : 6), y + (y < 24 ? 5 : -5));
  }
}
