// Points in a plane with axes: the map of latents, and the rate-distortion plane.
// It emits "at" {x, y, index} for the point under the pointer, "choose" for a click, and "drag" {x0, y0, x1, y1}.
const MARGIN = { left: 46, right: 10, top: 10, bottom: 34 };
const NEAR = 12; // pixels
const PAUSE = 40; // milliseconds between two events

function ticks(low, high, count = 5) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) found.push(+(index * step).toPrecision(6));
  return found;
}

export default {
  template: `<canvas ref="canvas" class="plane-canvas" tabindex="0" role="application" :aria-label="label"
    @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="cancel" @wheel.prevent="wheel"
    @keydown="key"></canvas>`,
  props: {
    label: String,
    points: Array, // [x, y, number of a colour]
    colours: Array,
    radius: { type: Number, default: 3 },
    circles: { type: Array, default: () => [] }, // [x, y, radius]
    shadows: { type: Array, default: () => [] }, // [x, y]
    curves: { type: Array, default: () => [] }, // lists of numbers of points
    isolines: Boolean, // of x + y
    equal: Boolean, // one scale for both axes
    drags: Boolean,
    axes: { type: Array, default: () => ["", ""] },
    names: { type: Array, default: () => [] },
    chosen: { type: Number, default: -1 },
  },
  mounted() {
    this.cursor = this.dragged = this.pressed = this.timer = null;
    this.fingers = new Map();
    this.sent = 0;
    this.fit();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.$refs.canvas);
    this.scheme = window.matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => setTimeout(() => this.draw(), 50);
    this.scheme.addEventListener("change", this.repaint);
  },
  unmounted() {
    this.observer.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
  },
  watch: {
    points(now, before) {
      if (JSON.stringify(now) === JSON.stringify(before)) return; // another property was set
      this.dragged = this.cursor = null;
      this.fit();
      this.draw();
    },
    chosen: "draw",
  },
  methods: {
    fit() {
      const range = (axis) => {
        const values = this.points.map((point) => point[axis]);
        const [low, high] = [Math.min(...values), Math.max(...values)];
        const margin = 0.08 * (high - low) || 1;
        return [low - margin, high + margin];
      };
      this.fitted = [range(0), range(1)];
      [this.x, this.y] = this.fitted;
    },
    resize() {
      const [canvas, dense] = [this.$refs.canvas, window.devicePixelRatio || 1];
      [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * dense));
      this.draw();
    },
    box() {
      const { clientWidth, clientHeight } = this.$refs.canvas;
      const { left, right, top, bottom } = MARGIN;
      return { left, top, width: clientWidth - left - right, height: clientHeight - top - bottom };
    },
    ranges() {
      if (!this.equal) return [this.x, this.y];
      const box = this.box();
      const perPixel = Math.max((this.x[1] - this.x[0]) / box.width, (this.y[1] - this.y[0]) / box.height);
      const around = ([low, high], size) => [-1, 1].map((side) => (low + high + side * perPixel * size) / 2);
      return [around(this.x, box.width), around(this.y, box.height)];
    },
    toScreen([x, y]) {
      const box = this.box();
      const [[x0, x1], [y0, y1]] = this.ranges();
      return [box.left + (box.width * (x - x0)) / (x1 - x0), box.top + box.height * (1 - (y - y0) / (y1 - y0))];
    },
    fromScreen(left, top) {
      const box = this.box();
      const [[x0, x1], [y0, y1]] = this.ranges();
      return [x0 + ((left - box.left) / box.width) * (x1 - x0), y1 - ((top - box.top) / box.height) * (y1 - y0)];
    },
    place(event) {
      const bounds = this.$refs.canvas.getBoundingClientRect();
      return this.fromScreen(event.clientX - bounds.left, event.clientY - bounds.top);
    },
    nearest(at, limit) {
      const [left, top] = this.toScreen(at);
      let [best, least] = [-1, limit ** 2];
      this.points.forEach((point, index) => {
        const [x, y] = this.toScreen(point);
        const distance = (x - left) ** 2 + (y - top) ** 2;
        if (distance <= least) [best, least] = [index, distance];
      });
      return best;
    },
    describe(at) {
      return { x: at[0], y: at[1], index: this.nearest(at, NEAR + this.radius) };
    },
    down(event) {
      this.$refs.canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
      this.pressed = { at: this.place(event), screen: [event.clientX, event.clientY], pans: event.shiftKey };
      if (this.fingers.size > 1) this.pressed = null;
    },
    move(event) {
      if (this.fingers.size > 1) return this.pinch(event);
      if (this.pressed && this.pressed.pans) return this.pan(event);
      this.cursor = this.place(event);
      if (this.pressed && this.drags && this.isMoved(event, this.pressed)) this.dragged = [this.pressed.at, this.cursor];
      this.draw();
      this.throttled("at", this.describe(this.cursor));
    },
    isMoved(event, pressed) {
      const [x, y] = pressed.screen;
      return Math.hypot(event.clientX - x, event.clientY - y) > 6;
    },
    up(event) {
      const pressed = this.pressed;
      this.cancel(event);
      if (!pressed || pressed.pans) return;
      const at = this.place(event);
      if (!this.isMoved(event, pressed)) this.$emit("choose", this.describe(at));
      else if (this.drags) this.$emit("drag", { x0: pressed.at[0], y0: pressed.at[1], x1: at[0], y1: at[1] });
    },
    cancel(event) {
      this.fingers.delete(event.pointerId);
      this.pressed = null;
    },
    pan(event) {
      const [from, to] = [this.fromScreen(0, 0), this.fromScreen(event.movementX, event.movementY)];
      this.x = this.x.map((value) => value - (to[0] - from[0]));
      this.y = this.y.map((value) => value - (to[1] - from[1]));
      this.draw();
    },
    pinch(event) {
      const [, [x, y]] = [...this.fingers].find(([id]) => id !== event.pointerId);
      const [before, now] = [this.fingers.get(event.pointerId), [event.clientX, event.clientY]];
      const apart = (at) => Math.hypot(at[0] - x, at[1] - y);
      this.fingers.set(event.pointerId, now);
      this.zoom(this.place(event), apart(before) / Math.max(1, apart(now)));
    },
    wheel(event) {
      this.zoom(this.place(event), Math.exp(0.0015 * Math.max(-200, Math.min(200, event.deltaY))));
    },
    zoom(at, factor) {
      const share = (this.x[1] - this.x[0]) / (this.fitted[0][1] - this.fitted[0][0]); // narrower ones have no ticks
      const by = Math.min(Math.max(factor, 0.001 / share), 100 / share);
      this.x = this.x.map((value) => at[0] + by * (value - at[0]));
      this.y = this.y.map((value) => at[1] + by * (value - at[1]));
      this.draw();
    },
    reset() {
      [this.x, this.y] = this.fitted;
      this.draw();
    },
    key(event) {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      const [[x0, x1], [y0, y1]] = this.ranges();
      const middle = this.cursor || [(x0 + x1) / 2, (y0 + y1) / 2];
      if (steps[event.key]) {
        const [right, up] = steps[event.key];
        this.cursor = [middle[0] + (right * (x1 - x0)) / 50, middle[1] + (up * (y1 - y0)) / 50];
        this.draw();
        this.throttled("at", this.describe(this.cursor));
      } else if (event.key === "Enter") this.$emit("choose", this.describe(middle));
      else if (event.key === "+") this.zoom(middle, 0.8);
      else if (event.key === "-") this.zoom(middle, 1.25);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    },
    throttled(name, value) {
      this.next = [name, value];
      if (this.timer !== null) return;
      this.timer = setTimeout(() => {
        this.timer = null;
        this.sent = performance.now();
        this.$emit(...this.next);
      }, Math.max(0, this.sent + PAUSE - performance.now()));
    },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas || !canvas.clientWidth) return;
      const dense = window.devicePixelRatio || 1;
      const context = canvas.getContext("2d");
      context.setTransform(dense, 0, 0, dense, 0, 0);
      context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
      const ink = getComputedStyle(canvas).color;
      this.drawAxes(context, ink);
      const box = this.box();
      context.save();
      context.beginPath();
      context.rect(box.left, box.top, box.width, box.height);
      context.clip();
      this.drawBackground(context, ink);
      this.drawPoints(context, ink);
      this.drawPointer(context, ink);
      context.restore();
    },
    drawAxes(context, ink) {
      const box = this.box();
      const [xs, ys] = this.ranges();
      context.font = "11px sans-serif";
      context.fillStyle = context.strokeStyle = ink;
      [context.lineWidth, context.textAlign, context.globalAlpha] = [1, "center", 0.7];
      for (const value of ticks(...xs)) {
        context.fillText(value, this.toScreen([value, ys[0]])[0], box.top + box.height + 13);
      }
      context.fillText(this.axes[0], box.left + box.width / 2, box.top + box.height + 28);
      context.textAlign = "right";
      for (const value of ticks(...ys)) context.fillText(value, box.left - 5, this.toScreen([xs[0], value])[1] + 4);
      context.save();
      context.translate(11, box.top + box.height / 2);
      context.rotate(-Math.PI / 2);
      context.textAlign = "center";
      context.fillText(this.axes[1], 0, 0);
      context.restore();
      context.globalAlpha = 0.3;
      context.strokeRect(box.left, box.top, box.width, box.height);
      context.globalAlpha = 1;
    },
    drawBackground(context, ink) {
      const [xs, ys] = this.ranges();
      [context.strokeStyle, context.fillStyle, context.globalAlpha] = [ink, ink, 0.25];
      context.setLineDash([4, 4]);
      if (this.isolines) {
        for (const sum of ticks(xs[0] + ys[0], xs[1] + ys[1], 10)) this.line(context, [[xs[0], sum - xs[0]], [xs[1], sum - xs[1]]]);
      }
      for (const [x, y, radius] of this.circles) {
        const [left, top] = this.toScreen([x, y]);
        const [right, up] = this.toScreen([x + radius, y + radius]);
        context.beginPath();
        context.ellipse(left, top, right - left, top - up, 0, 0, 2 * Math.PI);
        context.stroke();
      }
      context.setLineDash([]);
      for (const point of this.shadows) this.dot(context, point, 2);
      context.globalAlpha = 0.6;
      for (const curve of this.curves) {
        context.strokeStyle = this.colours[this.points[curve[0]][2] % this.colours.length];
        this.line(context, curve.map((index) => this.points[index]));
      }
      context.globalAlpha = 1;
    },
    drawPoints(context, ink) {
      context.globalAlpha = this.radius < 5 ? 0.75 : 1;
      this.points.forEach((point) => {
        context.fillStyle = this.colours[point[2] % this.colours.length];
        this.dot(context, point, this.radius);
      });
      context.globalAlpha = 1;
      context.strokeStyle = ink;
      context.lineWidth = 2;
      const point = this.points[this.chosen];
      if (point) this.dot(context, point, this.radius + 4, "stroke");
    },
    drawPointer(context, ink) {
      [context.strokeStyle, context.fillStyle, context.lineWidth] = [ink, ink, 2];
      if (this.dragged) {
        this.line(context, this.dragged);
        for (const end of this.dragged) this.dot(context, end, 4);
      }
      if (!this.cursor) return;
      const [left, top] = this.toScreen(this.cursor);
      context.lineWidth = 1;
      this.dot(context, this.cursor, 6, "stroke");
      const name = this.names[this.nearest(this.cursor, NEAR + this.radius)];
      if (!name) return;
      context.font = "12px sans-serif";
      const right = left + 10 + context.measureText(name).width > this.box().left + this.box().width;
      context.textAlign = right ? "right" : "left";
      context.fillText(name, left + (right ? -10 : 10), top - 10);
    },
    line(context, points) {
      context.beginPath();
      points.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...this.toScreen(point)));
      context.stroke();
    },
    dot(context, point, radius, paint = "fill") {
      context.beginPath();
      context.arc(...this.toScreen(point), radius, 0, 2 * Math.PI);
      context[paint]();
    },
  },
};
