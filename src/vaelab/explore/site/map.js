// The map: posterior means of test images in two latents, a point that the user moves, and the present image.

const COLOURS = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#d4a800", "#b07aa1", "#ff7f9a", "#9c755f", "#8c8c8c"];
const MARGIN = 26; // pixels left and below, for the numbers
const MORE = 0.03; // of the range, on each side of the outermost image
const STEPS = 40; // of the arrow keys, across the map

export function colourOf(label, classes) {
  return classes <= COLOURS.length ? COLOURS[label % COLOURS.length] : `hsl(${(360 * label) / classes} 60% 50%)`;
}

export class LatentMap {
  // onPoint(values) is called with the two latents' values under the pointer, onChoose() when a place is chosen.
  constructor(canvas, info, classes, onPoint, onChoose) {
    Object.assign(this, { canvas, info, classes, onPoint, onChoose, axes: [0, 1], point: [0, 0], mark: null });
    if (info.map.axes.length === 1) this.axes = [0, 0];
    canvas.addEventListener("pointermove", event => this.#pointed(event));
    canvas.addEventListener("pointerdown", event => this.#pointed(event));
    canvas.addEventListener("click", () => onChoose());
    canvas.addEventListener("keydown", event => this.#keyed(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get latents() {
    return this.axes.map(axis => this.info.map.axes[axis]);
  }

  setAxes(across, up) {
    this.axes = [across, up];
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

  // The range of each axis: that of the images, and of the prior where it is known.
  #range() {
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
      MARGIN + ((a - left) / (right - left)) * (width - MARGIN),
      (1 - (b - bottom) / (top - bottom)) * (height - MARGIN),
    ];
  }

  #toLatents(x, y) {
    const ranges = this.#range();
    const [width, height] = this.#size();
    const shares = [(x - MARGIN) / (width - MARGIN), 1 - y / (height - MARGIN)];
    return shares.map((share, axis) => {
      const [low, high] = ranges[axis];
      return low + Math.min(Math.max(share, 0), 1) * (high - low);
    });
  }

  #pointed(event) {
    const box = this.canvas.getBoundingClientRect();
    this.moveTo(this.#toLatents(event.clientX - box.left, event.clientY - box.top));
  }

  #keyed(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    if (event.key === "Enter") this.onChoose();
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.moveTo(this.#range().map(([low, high], axis) =>
      Math.min(Math.max(this.point[axis] + (moves[event.key][axis] * (high - low)) / STEPS, low), high)));
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
    if (this.info.is_standard_normal) for (const radius of [1, 2, 3]) this.#drawEllipse(context, [0, 0], [radius, radius], faint);
    this.#drawImages(context);
    if (this.mark !== null) this.#drawMark(context, ink);
    this.#drawPoint(context, ink);
  }

  #drawAxes(context, ink, faint) {
    const [width, height] = this.#size();
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = ink;
    context.strokeStyle = faint;
    context.strokeRect(MARGIN, 0.5, width - MARGIN - 0.5, height - MARGIN);
    this.#range().forEach(([low, high], axis) => {
      for (const value of ticks(low, high)) {
        const [x, y] = this.#toPixels(axis === 0 ? [value, 0] : [0, value]);
        context.textAlign = axis === 0 ? "center" : "right";
        context.textBaseline = axis === 0 ? "top" : "middle";
        if (axis === 0) context.fillText(written(value), x, height - MARGIN + 4);
        else context.fillText(written(value), MARGIN - 4, y);
      }
      const name = `z${this.latents[axis]}`;
      context.textAlign = axis === 0 ? "right" : "left";
      context.textBaseline = axis === 0 ? "bottom" : "top";
      if (axis === 0) context.fillText(name, width - 6, height - MARGIN - 4);
      else context.fillText(name, MARGIN + 6, 6);
    });
  }

  #drawEllipse(context, center, radii, colour) {
    const [x, y] = this.#toPixels(center);
    const [right, top] = this.#toPixels(center.map((value, axis) => value + radii[axis]));
    const [width, height] = this.#size();
    context.save();
    context.beginPath();
    context.rect(MARGIN, 0, width - MARGIN, height - MARGIN);
    context.clip();
    context.strokeStyle = colour;
    context.beginPath();
    context.ellipse(x, y, Math.abs(right - x), Math.abs(y - top), 0, 0, 2 * Math.PI);
    context.stroke();
    context.restore();
  }

  #drawImages(context) {
    context.globalAlpha = 0.75;
    this.info.map.means.forEach((mean, index) => {
      const [x, y] = this.#toPixels(this.axes.map(axis => mean[axis]));
      context.fillStyle = colourOf(this.info.map.labels[index], this.classes);
      context.beginPath();
      context.arc(x, y, 2.4, 0, 2 * Math.PI);
      context.fill();
    });
    context.globalAlpha = 1;
  }

  #drawMark(context, ink) {
    const mean = this.latents.map(latent => this.mark.mean[latent]);
    const radii = this.latents.map(latent => this.mark.std[latent]);
    context.lineWidth = 2;
    if (Math.max(...radii) > 0) this.#drawEllipse(context, mean, radii, ink);
    const [x, y] = this.#toPixels(mean);
    context.fillStyle = ink;
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fill();
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
  }
}

const written = value => String(value).replace("-", "−");

// Round numbers between low and high, about five.
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(Number(value.toPrecision(6)) + 0);
  return found;
}
