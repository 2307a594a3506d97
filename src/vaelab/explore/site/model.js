// The model: its encoder and decoder in ONNX Runtime Web, one thread, no other host.

import { InferenceSession, Tensor, env } from "./ort.js";

// ort.bin is compressed, because the WebAssembly file has 14 MB. A server may have decompressed it already.
async function decompressed(response) {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.buffer;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

export async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return response;
}

async function session(name) {
  return InferenceSession.create(new Uint8Array(await (await fetched(name)).arrayBuffer()), { executionProviders: ["wasm"] });
}

export async function openModel(info) {
  env.logLevel = "error";
  env.wasm.numThreads = 1; // several need headers that plain servers do not send
  env.wasm.wasmBinary = await decompressed(await fetched("ort.bin"));
  return new Model(info, await session("encoder.onnx"), await session("decoder.onnx"));
}

class Model {
  constructor(info, encoder, decoder) {
    Object.assign(this, { info, encoder, decoder, turn: Promise.resolve() });
  }

  // Sessions compute one call at a time.
  #run(chosen, feeds) {
    const result = this.turn.then(() => chosen.run(feeds));
    this.turn = result.catch(() => {});
    return result;
  }

  #labels(label, count) {
    if (this.info.classes === null) return {};
    return { labels: new Tensor("int64", BigInt64Array.from({ length: count }, () => BigInt(label)), [count]) };
  }

  // Mean, standard deviation and, where there are such, KL terms of q(z|x): Float32Array (D,) each.
  async encode(x, label) {
    const found = await this.#run(this.encoder, { x: new Tensor("float32", x, [1, ...this.info.shape]), ...this.#labels(label, 1) });
    return { mean: found.mean.data, std: found.std.data, kl: found.kl ? found.kl.data : null };
  }

  // The mean of p(x|z) at each z, and -log p(x|z) of the image x, if one is given.
  async decode(latents, label, x = null) {
    const count = latents.length;
    const size = this.info.shape.reduce((one, other) => one * other);
    const z = new Float32Array(count * latents[0].length);
    const images = new Float32Array(count * size);
    latents.forEach((one, index) => {
      z.set(one, index * one.length);
      if (x !== null) images.set(x, index * size);
    });
    const found = await this.#run(this.decoder, {
      z: new Tensor("float32", z, [count, latents[0].length]),
      x: new Tensor("float32", images, [count, ...this.info.shape]),
      ...this.#labels(label, count),
    });
    return {
      images: latents.map((_, index) => found.image.data.slice(index * size, (index + 1) * size)),
      distortion: x === null ? null : found.distortion.data,
    };
  }
}

// Numbers from N(0, 1), the same for the same seed: mulberry32, and the Box-Muller transform.
export function normals(seed, count) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

// A function that never runs twice at once: of the calls that come meanwhile, it does the last one afterwards.
export function latest(task) {
  let [running, next] = [false, null];
  return async (...values) => {
    next = values;
    if (running) return;
    running = true;
    try {
      while (next !== null) {
        const now = next;
        next = null;
        await task(...now);
      }
    } finally {
      running = false;
    }
  };
}
