// What all views are made of.

import { text } from "./texts.js";

export const $ = id => document.getElementById(id);
export const format = (value, digits = 2) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Grey the row of a latent that the image hardly depends on.
export function collapse(row) {
  row.classList.add("collapsed");
  row.title = text("collapsed");
}

// Name the rows that a view keeps behind "more"; without any it has no such line.
export function more(details, count) {
  details.hidden = count <= 0;
  details.firstElementChild.textContent = text("more", { count });
}

// Round numbers between low and high, about five.
export function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) found.push(Number((index * step).toPrecision(6)) + 0);
  return found;
}
