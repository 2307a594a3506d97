// Images as Float32Array (C, H, W) with values from 0 to 1: drawn ones, files, and what canvases show.

const INK = 0.1; // a pixel that is brighter belongs to the drawing
const BOX = 20 / 28; // of the image's side: what MNIST's digits fill
const LARGEST = 1024; // pixels of a file's longer side; a larger file is made smaller first

// The mean of each cell of a grid of columns x rows over a box of grey pixels; one[y * width + x] is a pixel.
export function resampled(grey, width, box, columns, rows) {
  const result = new Float32Array(columns * rows);
  const [across, down] = [spans(box.x, box.width, columns), spans(box.y, box.height, rows)];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (const [y, high] of down[row]) for (const [x, wide] of across[column]) sum += high * wide * grey[y * width + x];
      result[row * columns + column] = sum;
    }
  return result;
}

// For each of count equal parts of a line: the pixels in it, and the share that each has.
function spans(start, length, count) {
  const step = length / count;
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [start + index * step, start + (index + 1) * step];
    const found = [];
    for (let pixel = Math.floor(from); pixel < to - 1e-9; pixel++)
      found.push([pixel, (Math.min(to, pixel + 1) - Math.max(from, pixel)) / step]);
    return found;
  });
}

function boundingBox(grey, width, height) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (grey[y * width + x] > INK) {
        [left, right] = [Math.min(left, x), Math.max(right, x)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
      }
  return right < 0 ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

// A drawing as MNIST's digits are: its bounding box fits 20 x 20 of 28 x 28 pixels, its centre of mass is in the middle.
export function centred(grey, width, height, [channels, rows, columns]) {
  const box = boundingBox(grey, width, height);
  if (box === null) return null;
  const scale = (BOX * Math.min(rows, columns)) / Math.max(box.width, box.height);
  const [wide, high] = [box.width, box.height].map(side => Math.max(1, Math.round(side * scale)));
  const small = resampled(grey, width, box, wide, high);
  let [mass, massX, massY] = [0, 0, 0];
  small.forEach((value, index) => {
    mass += value;
    massX += value * ((index % wide) + 0.5);
    massY += value * (Math.floor(index / wide) + 0.5);
  });
  const [left, top] = [placed(columns, wide, massX / mass), placed(rows, high, massY / mass)];
  return inChannels(channels, rows, columns, [small], { left, top, wide, high });
}

function placed(whole, part, middle) {
  return Math.min(Math.max(Math.round(whole / 2 - middle), 0), whole - part);
}

// Planes of wide x high pixels at a place of an image that is black elsewhere; one plane serves all channels.
function inChannels(channels, rows, columns, planes, { left, top, wide, high }) {
  const result = new Float32Array(channels * rows * columns);
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < high; y++)
      for (let x = 0; x < wide; x++)
        result[(channel * rows + top + y) * columns + left + x] = planes[Math.min(channel, planes.length - 1)][y * wide + x];
  return result;
}

// The pixels of a file as RGBA, and whether its border is light.
export async function readFile(file) {
  const bitmap = await createImageBitmap(file);
  const shrink = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(1, Math.round(side * shrink)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const picture = { width, height, rgba: context.getImageData(0, 0, width, height).data };
  return { ...picture, isLight: borderOf(picture) > 0.5 };
}

function borderOf({ width, height, rgba }) {
  const plane = greyOf(rgba, 0);
  let [sum, count] = [0, 0];
  for (let index = 0; index < plane.length; index++) {
    const [x, y] = [index % width, Math.floor(index / width)];
    if (x > 0 && y > 0 && x < width - 1 && y < height - 1) continue;
    sum += plane[index];
    count += 1;
  }
  return sum / count;
}

function greyOf(rgba, background) {
  return colourPlane(rgba, background, at => (0.299 * rgba[at] + 0.587 * rgba[at + 1] + 0.114 * rgba[at + 2]) / 255);
}

function colourPlane(rgba, background, value) {
  return Float32Array.from({ length: rgba.length / 4 }, (_, index) => {
    const opaque = rgba[4 * index + 3] / 255;
    return opaque * value(4 * index) + (1 - opaque) * background;
  });
}

// A file at the model's size, with its aspect ratio kept and the rest black.
export function fitted({ width, height, rgba }, [channels, rows, columns], invert) {
  const background = invert ? 1 : 0;
  const planes = channels === 1
    ? [greyOf(rgba, background)]
    : [0, 1, 2].map(channel => colourPlane(rgba, background, at => rgba[at + channel] / 255));
  const scale = Math.min(columns / width, rows / height);
  const [wide, high] = [width, height].map(side => Math.max(1, Math.round(side * scale)));
  const box = { x: 0, y: 0, width, height };
  const small = planes.map(plane => resampled(invert ? plane.map(value => 1 - value) : plane, width, box, wide, high));
  const [left, top] = [Math.floor((columns - wide) / 2), Math.floor((rows - high) / 2)];
  return inChannels(channels, rows, columns, small, { left, top, wide, high });
}

// Show an image on a canvas, which takes its size; the style sheet says how large its pixels are.
export function paint(canvas, pixels, [channels, rows, columns]) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  context.putImageData(imageData(pixels, [channels, rows, columns]), 0, 0);
}

export function imageData(pixels, [channels, rows, columns]) {
  const data = new ImageData(columns, rows);
  const size = rows * columns;
  for (let index = 0; index < size; index++) {
    for (let channel = 0; channel < 3; channel++)
      data.data[4 * index + channel] = Math.round(255 * pixels[Math.min(channel, channels - 1) * size + index]);
    data.data[4 * index + 3] = 255;
  }
  return data;
}
