// A canvas to draw on with mouse, touch or pen. It emits "strokes": lists of points (x, y) from 0 to 1.
const SIDE = 280; // pixels
const PEN = 0.08; // width of a stroke, as a share of the canvas; the same as in drawing.py
const PAUSE = 60; // milliseconds between two events while a stroke is drawn

export default {
  template: `<canvas ref="canvas" class="draw-canvas" width="${SIDE}" height="${SIDE}" tabindex="0" role="img"
    :aria-label="label" @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up"
    @keydown.delete.prevent="erase" @keydown.esc.prevent="erase"></canvas>`,
  props: { label: String },
  mounted() {
    this.strokes = [];
    this.isDrawing = false;
    this.sent = 0;
    this.timer = null;
    this.redraw();
  },
  methods: {
    down(event) {
      if (event.button > 0) return;
      this.$refs.canvas.setPointerCapture(event.pointerId);
      this.isDrawing = true;
      this.strokes.push([this.place(event)]);
      this.changed();
    },
    move(event) {
      if (!this.isDrawing) return;
      const between = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of between.length ? between : [event]) this.strokes.at(-1).push(this.place(each));
      this.changed();
    },
    up() {
      if (!this.isDrawing) return;
      this.isDrawing = false;
      this.changed();
    },
    erase() {
      this.clear();
      this.changed();
    },
    clear() {
      this.strokes = [];
      this.isDrawing = false;
      this.redraw();
    },
    place(event) {
      const box = this.$refs.canvas.getBoundingClientRect();
      const share = (value) => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;
      return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
    },
    changed() {
      this.redraw();
      const wait = this.sent + PAUSE - performance.now();
      if (this.timer !== null) return;
      this.timer = setTimeout(() => {
        this.timer = null;
        this.sent = performance.now();
        this.$emit("strokes", this.strokes);
      }, Math.max(0, wait));
    },
    redraw() {
      const context = this.$refs.canvas.getContext("2d");
      context.fillStyle = "black";
      context.fillRect(0, 0, SIDE, SIDE);
      context.strokeStyle = context.fillStyle = "white";
      context.lineWidth = PEN * SIDE;
      context.lineCap = context.lineJoin = "round";
      for (const stroke of this.strokes) {
        context.beginPath();
        context.moveTo(SIDE * stroke[0][0], SIDE * stroke[0][1]);
        for (const [x, y] of stroke) context.lineTo(SIDE * x, SIDE * y + 0.01);
        context.stroke();
      }
    },
  },
};
