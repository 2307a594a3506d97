// Move: a slider for each latent, buttons that set all of them, and the temperature of a sample of the prior.

import { $, collapse, element, format, more } from "./elements.js";
import { text } from "./texts.js";

const SHOWN = 8; // sliders; the others are behind "more"
const STEPS = 200; // of a slider

export class Move {
  // onMove() is called after z has changed; posterior() is the mean of q(z|x) of the present image, or undefined.
  constructor(info, onMove, posterior) {
    Object.assign(this, { info, onMove, posterior, z: Float32Array.from(info.center) });
    Object.assign(this, { next: 0, drawn: null, temperature: 1 }); // drawn: a sample of the prior at temperature 1
  }

  build() {
    this.sliders = this.info.order.map((latent, rank) => this.#buildSlider(latent, rank));
    more($("more-sliders"), this.info.order.length - SHOWN);
    $("to-center").addEventListener("click", () => this.to(this.info.center));
    $("to-posterior").addEventListener("click", () => this.posterior() && this.to(this.posterior()));
    $("to-sample").hidden = this.info.prior_samples === null;
    $("to-sample").addEventListener("click", () => this.#toSample());
    $("heat").hidden = $("heat-says").hidden = !this.info.is_standard_normal;
    $("temperature").setAttribute("aria-label", text("temperature"));
    $("temperature").addEventListener("input", () => this.#heat());
    $("temperature-value").textContent = format(this.temperature);
  }

  #buildSlider(latent, rank) {
    const [min, max] = [this.info.low[latent], this.info.high[latent]];
    const slider = element("input", { type: "range", min, max, step: (max - min) / STEPS, id: `z${latent}` });
    const value = element("output");
    const row = element("div", { className: "slider" }, element("label", { htmlFor: `z${latent}`, textContent: `z${latent}` }), slider, value);
    if (!this.info.active[latent]) collapse(row);
    slider.addEventListener("input", () => {
      this.z[latent] = Number(slider.value);
      value.textContent = format(this.z[latent]);
      this.onMove();
    });
    (rank < SHOWN ? $("sliders") : $("more-sliders").lastElementChild).append(row);
    return { latent, slider, value };
  }

  // Set all sliders; one whose end is nearer than its value gets a new end.
  to(z) {
    this.drawn = null;
    this.#set(z);
  }

  #set(z) {
    this.z = Float32Array.from(z);
    for (const { latent, slider, value } of this.sliders) {
      slider.min = Math.min(slider.min, this.z[latent]);
      slider.max = Math.max(slider.max, this.z[latent]);
      slider.value = this.z[latent];
      value.textContent = format(this.z[latent]);
    }
    this.onMove();
  }

  #toSample() {
    const samples = this.info.prior_samples;
    this.drawn = samples[this.next++ % samples.length];
    this.#set(this.#heated());
  }

  #heated() {
    return this.drawn.map(value => this.temperature * value);
  }

  #heat() {
    this.temperature = Number($("temperature").value);
    $("temperature-value").textContent = format(this.temperature);
    if (this.drawn !== null) this.#set(this.#heated());
  }
}
