// All texts of the page. A text with {name} has that value put in. Those that end in Point are for an auto-encoder,
// which maps an image to a point instead of a distribution.

const en = {
  drawTitle: "1 Draw or pick",
  drawSays: "The encoder maps the image x to the posterior q(z|x); the decoder maps samples of z from it back to images.",
  drawSaysPoint: "The encoder maps the image x to latents z; the decoder maps them back to an image.",
  pickSays: "Pick a test image or a file of your own: the encoder maps it to the posterior q(z|x), and the decoder maps samples of z back to images.",
  pickSaysPoint: "Pick a test image or a file of your own: the encoder maps it to latents z, and the decoder maps them back to an image.",
  pad: "Draw here with a mouse, a pen or a finger; with the keyboard, pick a test image below",
  clear: "Clear",
  file: "Open a file …",
  invert: "dark on light",
  givenClass: "class y",
  again: "New noise",
  thumbs: "Test images",
  thumb: "Test image of class {label}",
  x: "x",
  mean: "mean",
  meanPoint: "decoded",
  sample: "sample",
  rate: "rate",
  distortion: "distortion",
  elbo: "ELBO",
  numbersSay: "nats; the distortion is the mean over {count} samples",
  numbersSayPoint: "nats",
  empty: "The canvas is empty: draw something, or pick an image.",
  noImage: "The browser cannot read this file as an image.",
  posteriorTitle: "2 Posterior q(z|x)",
  posteriorTitlePoint: "2 Latents z",
  posteriorSays: "Mean and standard deviation of each latent, largest {measure} first, over the prior's ±1 in grey; a latent that hardly changes with the image is collapsed.",
  posteriorSaysPoint: "The value of each latent, the most variable first: an auto-encoder gives a point instead of a distribution.",
  kl: "KL",
  variance: "variance",
  collapsed: "collapsed",
  more: "{count} more latents",
  moveTitle: "3 Move through z",
  moveSays: "Each slider is one latent; the image is the decoder's mean of p(x|z) at this z.",
  moved: "Decoded image at the sliders' z",
  toPosterior: "Posterior mean",
  toPosteriorPoint: "The image's z",
  toCenter: "Prior mean",
  toCenterPoint: "Images' mean",
  toSample: "Prior sample",
  temperature: "temperature T (sample × T)",
  mapTitle: "4 Map",
  mapSays: "Posterior means of {count} test images: point at a place to decode it, with the other latents at the prior's mean, and click to move the sliders there.",
  mapSaysPoint: "Latents of {count} test images: point at a place to decode it, with the other latents at their mean, and click to move the sliders there.",
  across: "across",
  up: "up",
  whole: "Show all",
  zoomSays: "The wheel or two fingers zoom; Shift and dragging moves the map.",
  plane: "Map of two latents; the arrow keys move the point, Enter moves the sliders there, + and - zoom, 0 shows all",
  pointed: "Decoded image at the point",
  class: "class",
  circles: "circles: the prior's 1, 2, 3 σ",
  priorSamples: "grey: samples of the prior",
  footer: "Everything is computed in this browser. No image leaves it.",
  latents: "{count} latents",
  loading: "Loading the model …",
  failed: "The page does not work here: {reason}",
};

const zh = {
  drawTitle: "1 手写或选图",
  drawSays: "编码器把图像 x 映射为后验分布 q(z|x)；解码器把从中抽取的 z 还原成图像。",
  drawSaysPoint: "编码器把图像 x 映射为隐变量 z；解码器再把它还原成图像。",
  pickSays: "选择一张测试图像或自己的文件：编码器把它映射为后验分布 q(z|x)，解码器把从中抽取的 z 还原成图像。",
  pickSaysPoint: "选择一张测试图像或自己的文件：编码器把它映射为隐变量 z，解码器再把它还原成图像。",
  pad: "用鼠标、笔或手指在此书写；使用键盘时，请在下方选择测试图像",
  clear: "清空",
  file: "打开图像……",
  invert: "浅底深色",
  givenClass: "类别 y",
  again: "更换噪声",
  thumbs: "测试图像",
  thumb: "类别 {label} 的测试图像",
  x: "x",
  mean: "均值",
  meanPoint: "解码",
  sample: "样本",
  rate: "码率",
  distortion: "失真",
  elbo: "ELBO",
  numbersSay: "单位为奈特；失真是 {count} 个样本的平均值",
  numbersSayPoint: "单位为奈特",
  empty: "画布是空的：请书写，或选择一张图像。",
  noImage: "浏览器无法把此文件读作图像。",
  posteriorTitle: "2 后验分布 q(z|x)",
  posteriorTitlePoint: "2 隐变量 z",
  posteriorSays: "每个隐变量的均值与标准差，按{measure}从大到小排列，灰带为先验的 ±1；几乎不随图像变化的隐变量已坍缩。",
  posteriorSaysPoint: "每个隐变量的取值，变化最大的在前：自编码器给出的是一个点，而不是分布。",
  kl: " KL",
  variance: "方差",
  collapsed: "已坍缩",
  more: "其余 {count} 个隐变量",
  moveTitle: "3 移动 z",
  moveSays: "每个滑块对应一个隐变量；图像是解码器在该 z 处给出的 p(x|z) 的均值。",
  moved: "滑块所在 z 的解码图像",
  toPosterior: "后验均值",
  toPosteriorPoint: "图像的 z",
  toCenter: "先验均值",
  toCenterPoint: "图像的均值",
  toSample: "先验样本",
  temperature: "温度 T（样本 × T）",
  mapTitle: "4 地图",
  mapSays: "{count} 张测试图像的后验均值：指向某处即解码该点（其余隐变量取先验均值），点击则把滑块移到那里。",
  mapSaysPoint: "{count} 张测试图像的隐变量：指向某处即解码该点（其余隐变量取均值），点击则把滑块移到那里。",
  across: "横轴",
  up: "纵轴",
  whole: "显示全部",
  zoomSays: "滚轮或双指缩放；按住 Shift 拖动可平移地图。",
  plane: "两个隐变量的地图；方向键移动指针，回车键把滑块移到那里，+ 和 - 缩放，0 显示全部",
  pointed: "所指之处的解码图像",
  class: "类别",
  circles: "圆圈：先验的 1、2、3 σ",
  priorSamples: "灰点：先验的样本",
  footer: "一切都在此浏览器中计算，图像不会离开本机。",
  latents: "{count} 个隐变量",
  loading: "正在载入模型……",
  failed: "本页无法在此运行：{reason}",
};

// ?lang=zh or ?lang=en in the address goes before the browser's language.
const wanted = new URLSearchParams(location.search).get("lang") ?? navigator.language;
export const language = wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
const texts = language === "zh" ? zh : en;

let isPoint = false;

export function speakOfPoints(yes) {
  isPoint = yes;
}

export function text(key, values = {}) {
  const found = (isPoint && texts[`${key}Point`]) || texts[key];
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function fillTexts() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
}
