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
