// The page of one model: draw or pick, the posterior, move, map.

import { $, collapse, element, format, more } from "./elements.js";
import { centred, fitted, paint, readFile } from "./image.js";
import { LatentMap, colourOf } from "./map.js";
import { fetched, latest, normals, openModel } from "./model.js";
import { Move } from "./move.js";
import { fillTexts, speakOfPoints, text } from "./texts.js";

const SAMPLES = 16; // of q(z|x), of which the distortion is the mean
const SHOWN = 4; // of them
const BARS = 20; // latents that are not behind "more"
const PEN = 20 / 280; // of the canvas
const PIXELS = 280; // of the canvas's shorter side

function fail(error) {
  $("status").hidden = false;
  $("status").textContent = text("failed", { reason: error.message || String(error) });
}

class Page {
  constructor(info, model, images) {
    Object.assign(this, { info, model, images, x: null, label: 0, seed: 0, q: null });
    this.latentCount = info.order.length;
    this.classes = Math.max(...info.map.labels, ...info.images.labels) + 1;
    this.move = new Move(info, () => this.showMoved(), () => this.q?.mean);
    this.showImage = latest(async () => this.#encode());
    this.showMoved = latest(async () => this.#show($("moved"), this.move.z));
    this.showPoint = latest(async z => this.#show($("pointed"), z));
  }

  async #show(canvas, z) {
    const { images } = await this.model.decode([z], this.label);
    paint(canvas, images[0], this.info.shape);
  }

  build() {
    this.#buildHead();
    this.#buildPad();
    this.#buildThumbs();
    this.#buildDecoded();
    this.#buildBars();
    $("moved").setAttribute("aria-label", text("moved"));
    this.move.build();
    this.#buildMap();
  }

  #buildHead() {
    const { name, facts, data, metrics } = this.info;
    $("name").textContent = document.title = name;
    const metric = Object.entries(metrics)[0];
    const words = [facts.model, facts.network, facts.likelihood, text("latents", { count: this.latentCount })];
    if (this.info.has_bound && facts.beta !== null) words.push(`β = ${facts.beta}`);
    words.push(data);
    if (metric) words.push(`${text(metric[0] === "elbo" ? "elbo" : "distortion")} ${format(metric[1])}`);
    $("facts").textContent = words.join(" · ");
  }

  // ---- draw or pick

  #buildPad() {
    const [channels, rows, columns] = this.info.shape;
    const pad = $("pad");
    const scale = PIXELS / Math.min(rows, columns);
    Object.assign(pad, { width: Math.round(columns * scale), height: Math.round(rows * scale) });
    this.canDraw = channels === 1;
    this.isPicked = true;
    if (!this.canDraw) {
      document.querySelector("#draw .says").textContent = text("pickSays");
      $("clear").hidden = $("invert-label").hidden = true;
      pad.tabIndex = -1;
    } else this.#listenToPen(pad);
    pad.setAttribute("role", "img");
    pad.setAttribute("aria-label", text(this.canDraw ? "pad" : "x"));
    $("clear").addEventListener("click", () => this.#clear());
    $("file").addEventListener("change", () => this.#openFile($("file").files[0]));
    $("invert").addEventListener("change", () => this.picture && this.#useFile());
    $("again").addEventListener("click", () => {
      this.seed += 1;
      this.showImage();
    });
    $("again").hidden = !this.info.has_bound;
    this.#buildClasses();
  }

  #buildClasses() {
    $("class-label").hidden = this.info.classes === null;
    for (let label = 0; label < (this.info.classes ?? 0); label++) $("class").append(element("option", { value: label, textContent: label }));
    $("class").addEventListener("change", () => this.#setLabel(Number($("class").value)));
  }

  #setLabel(label) {
    if (this.info.classes === null || label === this.label) return;
    this.label = label;
    $("class").value = label;
    this.showImage();
    this.showMoved();
    this.map.moveTo(this.map.point);
  }

  #listenToPen(pad) {
    const context = pad.getContext("2d", { willReadFrequently: true });
    let [last, isWaiting] = [null, false];
    const place = event => {
      const box = pad.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
    };
    const line = to => {
      Object.assign(context, { strokeStyle: "white", lineWidth: PEN * PIXELS, lineCap: "round", lineJoin: "round" });
      context.beginPath();
      context.moveTo(...last);
      context.lineTo(...to);
      context.stroke();
      last = to;
      if (isWaiting) return;
      isWaiting = true;
      requestAnimationFrame(() => {
        isWaiting = false;
        this.#useDrawing();
      });
    };
    pad.addEventListener("pointerdown", event => {
      if (event.button !== 0) return;
      pad.setPointerCapture(event.pointerId);
      if (this.isPicked) this.#clear();
      last = place(event);
      line(last);
    });
    pad.addEventListener("pointermove", event => {
      if (last === null) return;
      for (const each of event.getCoalescedEvents?.() ?? []) line(place(each));
      line(place(event));
    });
    pad.addEventListener("keydown", event => ["Backspace", "Delete"].includes(event.key) && this.#clear());
    for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (last = null));
  }

  #clear() {
    const pad = $("pad");
    const context = pad.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "black";
    context.fillRect(0, 0, pad.width, pad.height);
    this.isPicked = false;
    this.#forget();
    this.#hint("empty");
  }

  // Neither a test image nor a file is in use any more.
  #forget() {
    this.picture = null;
    $("file").value = "";
    for (const thumb of $("thumbs").children) thumb.setAttribute("aria-pressed", "false");
  }

  #hint(key) {
    $("hint").hidden = key === null;
    $("hint").textContent = key === null ? "" : text(key);
  }

  #useDrawing() {
    const pad = $("pad");
    const { data } = pad.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, pad.width, pad.height);
    const grey = Float32Array.from({ length: data.length / 4 }, (_, index) => data[4 * index] / 255);
    const x = centred(grey, pad.width, pad.height, this.info.shape);
    if (x !== null) this.#use(x);
  }

  async #openFile(file) {
    if (!file) return;
    this.#forget();
    try {
      this.picture = await readFile(file);
    } catch {
      this.#hint("noImage");
      return;
    }
    if (this.info.shape[0] === 1) $("invert").checked = this.picture.isLight;
    this.#useFile();
  }

  #useFile() {
    const x = fitted(this.picture, this.info.shape, $("invert").checked);
    this.#usePicked(x);
  }

  #usePicked(x) {
    this.isPicked = true;
    this.#paintPad(x);
    this.#use(x);
  }

  #paintPad(x) {
    const pad = $("pad");
    const context = pad.getContext("2d", { willReadFrequently: true });
    const small = element("canvas");
    paint(small, x, this.info.shape);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, pad.width, pad.height);
  }

  #use(x) {
    this.x = this.info.binary ? x.map(value => (value >= 0.5 ? 1 : 0)) : x;
    this.#hint(null);
    this.showImage();
  }

  #buildThumbs() {
    const size = this.info.shape.reduce((one, other) => one * other);
    $("thumbs").setAttribute("aria-label", text("thumbs"));
    this.info.images.labels.forEach((label, index) => {
      const x = Float32Array.from(this.images.subarray(index * size, (index + 1) * size), value => value / 255);
      const canvas = element("canvas");
      paint(canvas, x, this.info.shape);
      const thumb = element("button", { title: text("thumb", { label }) }, canvas);
      thumb.setAttribute("aria-label", text("thumb", { label }));
      thumb.addEventListener("click", () => this.#pick(thumb, x, label));
      $("thumbs").append(thumb);
    });
  }

  #pick(thumb, x, label) {
    this.#forget();
    thumb.setAttribute("aria-pressed", "true");
    this.#setLabel(label);
    this.#usePicked(x);
  }

  #buildDecoded() {
    const names = ["x", "mean", ...(this.info.has_bound ? Array.from({ length: SHOWN }, () => "sample") : [])];
    this.decoded = names.map(name => {
      const canvas = element("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", text(name));
      $("decoded").append(element("figure", {}, canvas, element("figcaption", { textContent: text(name) })));
      return canvas;
    });
  }

  async #encode() {
    if (this.x === null) return;
    const [x, label] = [this.x, this.label];
    this.q = await this.model.encode(x, label);
    const noise = normals(this.seed, SAMPLES * this.latentCount);
    const count = this.info.has_bound ? SAMPLES : 1;
    const samples = Array.from({ length: count }, (_, index) =>
      this.q.mean.map((mean, latent) => mean + this.q.std[latent] * noise[index * this.latentCount + latent]));
    const mean = await this.model.decode([this.q.mean], label);
    const drawn = await this.model.decode(samples, label, x);
    [x, mean.images[0], ...drawn.images].slice(0, this.decoded.length).forEach((image, index) => paint(this.decoded[index], image, this.info.shape));
    this.#showNumbers(drawn.distortion);
    this.#showBars();
    this.map.setMark(this.q.mean, this.q.std);
  }

  #showNumbers(distortions) {
    const distortion = distortions.reduce((sum, value) => sum + value, 0) / distortions.length;
    const rate = this.q.kl?.reduce((sum, value) => sum + value, 0) ?? null;
    const found = rate === null ? { distortion } : { rate, distortion, elbo: -rate - distortion };
    $("numbers").replaceChildren(
      ...Object.entries(found).map(([name, value]) => {
        const number = element("dd", { textContent: format(value) });
        number.dataset.value = value;
        return element("div", { id: name }, element("dt", { textContent: text(name) }), number);
      }),
      element("p", { className: "says", textContent: text("numbersSay", { count: distortions.length }) }),
    );
  }

  // ---- the posterior

  #buildBars() {
    const measure = text(this.info.kl === null ? "variance" : "kl");
    $("posterior-says").textContent = text("posteriorSays", { measure });
    const bound = Math.max(...this.info.low.map(Math.abs), ...this.info.high.map(Math.abs));
    this.share = value => 100 * Math.min(Math.max((value + bound) / (2 * bound), 0), 1);
    this.bars = this.info.order.map((latent, rank) => {
      const spread = element("i", { className: "spread" });
      const middle = element("i", { className: "middle" });
      const track = element("div", { className: "track" }, this.#priorBand(), spread, middle);
      const amount = element("span", { className: "amount" });
      const row = element("div", { className: "bar" }, element("span", { className: "latent", textContent: `z${latent}` }), track, amount);
      row.dataset.latent = latent;
      if (!this.info.active[latent]) collapse(row);
      (rank < BARS ? $("bars") : $("more-bars").lastElementChild).append(row);
      return { latent, row, spread, middle, amount };
    });
    more($("more-bars"), this.latentCount - BARS);
    this.#scale(bound);
  }

  #priorBand() {
    const band = element("i", { className: "prior" });
    band.hidden = !this.info.is_standard_normal;
    Object.assign(band.style, { left: `${this.share(-1)}%`, width: `${this.share(1) - this.share(-1)}%` });
    return band;
  }

  // The ends and the middle of the common scale, and the name of the numbers at the right.
  #scale(bound) {
    const values = [-bound, 0, bound].map(value => element("span", { textContent: format(value, 1) }));
    const unit = text(this.info.kl === null ? "variance" : "kl").trim();
    $("bars").append(element("div", { className: "bar scale" }, element("span"), element("div", {}, ...values), element("span", { textContent: unit })));
  }

  #showBars() {
    for (const { latent, row, spread, middle, amount } of this.bars) {
      const [mean, std] = [this.q.mean[latent], this.q.std[latent]];
      Object.assign(row.dataset, { mean, std });
      const [left, right] = [this.share(mean - std), this.share(mean + std)];
      Object.assign(spread.style, { left: `${left}%`, width: `${right - left}%` });
      middle.style.left = `${this.share(mean)}%`;
      const isCollapsed = row.classList.contains("collapsed");
      const value = this.q.kl === null ? this.info.variance[latent] : this.q.kl[latent];
      amount.textContent = isCollapsed ? text("collapsed") : format(value);
    }
  }

  // ---- the map

  #buildMap() {
    $("map-says").textContent = text("mapSays", { count: this.info.map.labels.length });
    $("plane").setAttribute("aria-label", text("plane"));
    $("plane").setAttribute("role", "application");
    $("pointed").setAttribute("aria-label", text("pointed"));
    this.map = new LatentMap($("plane"), this.info, this.classes, point => this.#point(point), () => this.move.to(this.#at(this.map.point)));
    for (const [index, id] of ["across", "up"].entries()) {
      this.info.map.axes.forEach((latent, axis) => $(id).append(element("option", { value: axis, textContent: `z${latent}` })));
      $(id).value = this.map.axes[index];
      $(id).addEventListener("change", () => this.map.setAxes(Number($("across").value), Number($("up").value)));
    }
    $("whole").addEventListener("click", () => this.map.showAll());
    this.#legend();
  }

  #legend() {
    if (this.info.is_standard_normal) $("prior-says").textContent = text("circles");
    else if (this.info.prior_samples !== null) $("prior-says").textContent = text("priorSamples");
    if (this.classes < 2 || this.classes > 40) return;
    const labels = [...new Set(this.info.map.labels)].sort((one, other) => one - other);
    $("legend").append(element("span", { textContent: text("class") }), ...labels.map(label => {
      const mark = element("i");
      mark.style.background = colourOf(label, this.classes);
      return element("span", {}, mark, String(label));
    }));
  }

  // The latents at a place of the map.
  #at(point) {
    const z = Float32Array.from(this.info.center);
    this.map.latents.forEach((latent, axis) => (z[latent] = point[axis]));
    return z;
  }

  #point(point) {
    $("place").textContent = this.map.latents.map((latent, axis) => `z${latent} = ${format(point[axis])}`).join(", ");
    this.showPoint(this.#at(point));
  }

  async start() {
    $("thumbs").firstElementChild.click();
    this.map.moveTo(this.map.latents.map(latent => this.info.center[latent]));
    await new Promise(resolve => {
      const wait = () => (this.q === null ? setTimeout(wait, 10) : resolve());
      wait();
    });
    this.move.to(this.q.mean);
  }
}

async function main() {
  fillTexts();
  $("status").textContent = text("loading");
  const info = await (await fetched("model.json")).json();
  speakOfPoints(!info.has_bound);
  fillTexts();
  const images = new Uint8Array(await (await fetched("images.bin")).arrayBuffer());
  const page = new Page(info, await openModel(info), images);
  page.build();
  document.querySelector("main").hidden = false;
  await page.start();
  $("status").hidden = true;
}

for (const kind of ["error", "unhandledrejection"]) addEventListener(kind, event => fail(event.reason ?? event.error ?? event));
main().catch(fail);
