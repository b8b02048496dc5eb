extension ReportPage {
    /// A generator in plain JavaScript: its weights, its layers, its noise.
    static let networkScript = #"""

        // ---- Weights -------------------------------------------------------------------------------------------------

        // The number that 16 bits of fp16 stand for (IEEE 754 binary16).
        function halfToNumber(bits) {
          const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
          if (exponent === 0) return sign * fraction * 2 ** -24;
          if (exponent === 31) return fraction ? NaN : sign * Infinity;
          return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
        }

        // A reader of numbers one after the other: the page holds them in the order of the layers.
        function reader(bytes, size, decode) {
          const view = new DataView(bytes.buffer);
          let place = 0;
          return (count) => {
            const values = new Float32Array(count);
            for (let i = 0; i < count; i++, place += size) values[i] = decode(view, place);
            return values;
          };
        }

        // Of weights that products have as factors, and of single numbers.
        function weightReaders(factors) {
          const table = new Float32Array(1 << 16).map((_, bits) => halfToNumber(bits));
          const read = reader(bytesOf("halves"), 2, (view, place) => table[view.getUint16(place, true)]);
          return {
            halves: (count) => factors(read(count)),
            singles: reader(bytesOf("singles"), 4, (view, place) => view.getFloat32(place, true)),
          };
        }

        // Rounds to bf16, to nearest even: the upper half of a number's 32 bits.
        function roundToBfloat16(values) {
          const rounded = Float32Array.from(values);
          const bits = new Uint32Array(rounded.buffer);
          for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) & 0xffff0000;
          return rounded;
        }

        // ---- Layers --------------------------------------------------------------------------------------------------
        // An image is {values, channels, height, width}, its values [channels, height, width], as PyTorch has them. Features are
        // channels of one pixel. A layer is a function of an image and the class.

        function image(values, channels, height = 1, width = 1) {
          return { values, channels, height, width };
        }

        function elementwise(f) {
          return (x) => ({ ...x, values: x.values.map(f) });
        }

        // y = W x + b, W [outputs, inputs]
        function linear({ inputs, outputs, bias }, weights, factors) {
          const w = weights.halves(outputs * inputs);
          const b = bias === false ? new Float32Array(outputs) : weights.singles(outputs);
          return (x) => {
            const values = factors(x.values);
            const y = new Float32Array(outputs);
            for (let o = 0; o < outputs; o++) {
              let sum = b[o];
              for (let i = 0, k = o * inputs; i < inputs; i++, k++) sum += w[k] * values[i];
              y[o] = sum;
            }
            return image(y, outputs);
          };
        }

        // Of each place p of a kernel, the first i, and the one after the last, of 0 … count − 1 for which stride · i + p − padding
        // is one of 0 … limit − 1: what is outside of them is padding.
        function inside({ kernel, stride, padding }, limit, count) {
          const places = Array.from({ length: kernel }, (_, p) => p - padding);
          return {
            first: places.map((offset) => Math.max(0, Math.ceil(-offset / stride))),
            last: places.map((offset) => Math.min(count, Math.floor((limit - 1 - offset) / stride) + 1)),
          };
        }

        // y[o, h, w] = b[o] + Σ W[o, i, p, q] x[i, s h + p − padding, s w + q − padding],
        // W [outputs, inputs, kernel, kernel]
        function conv2d(layer, weights, factors) {
          const { inputs, outputs, kernel, stride, padding, bias } = layer;
          const w = weights.halves(outputs * inputs * kernel * kernel);
          const b = bias === false ? new Float32Array(outputs) : weights.singles(outputs);
          return (x) => {
            const source = factors(x.values);
            const side = (length) => Math.floor((length + 2 * padding - kernel) / stride) + 1;
            const [height, width] = [side(x.height), side(x.width)];
            const [rows, columns] = [inside(layer, x.height, height), inside(layer, x.width, width)];
            const y = new Float32Array(outputs * height * width);
            for (let o = 0, k = 0; o < outputs; o++) {
              y.fill(b[o], o * height * width, (o + 1) * height * width);
              for (let i = 0; i < inputs; i++) {
                for (let p = 0; p < kernel; p++) {
                  for (let q = 0; q < kernel; q++, k++) {
                    const factor = w[k];
                    const last = columns.last[q];
                    for (let h = rows.first[p]; h < rows.last[p]; h++) {
                      const from = (i * x.height + stride * h + p - padding) * x.width + q - padding;
                      const to = (o * height + h) * width;
                      for (let v = columns.first[q]; v < last; v++) y[to + v] += factor * source[from + stride * v];
                    }
                  }
                }
              }
            }
            return image(y, outputs, height, width);
          };
        }

        // Its transpose: y[o, s h + p − padding, s w + q − padding] += W[i, o, p, q] x[i, h, w],
        // W [inputs, outputs, kernel, kernel]
        function convTranspose2d(layer, weights, factors) {
          const { inputs, outputs, kernel, stride, padding, bias, output_padding: extra = 0 } = layer;
          const w = weights.halves(inputs * outputs * kernel * kernel);
          const b = bias === false ? new Float32Array(outputs) : weights.singles(outputs);
          return (x) => {
            const source = factors(x.values);
            const side = (length) => (length - 1) * stride + kernel - 2 * padding + extra;
            const [height, width] = [side(x.height), side(x.width)];
            const [rows, columns] = [inside(layer, height, x.height), inside(layer, width, x.width)];
            const y = new Float32Array(outputs * height * width);
            for (let o = 0; o < outputs; o++) y.fill(b[o], o * height * width, (o + 1) * height * width);
            for (let i = 0, k = 0; i < inputs; i++) {
              for (let o = 0; o < outputs; o++) {
                for (let p = 0; p < kernel; p++) {
                  for (let q = 0; q < kernel; q++, k++) {
                    const factor = w[k];
                    const last = columns.last[q];
                    for (let h = rows.first[p]; h < rows.last[p]; h++) {
                      const from = (i * x.height + h) * x.width;
                      const to = (o * height + stride * h + p - padding) * width + q - padding;
                      for (let v = columns.first[q]; v < last; v++) y[to + stride * v] += factor * source[from + v];
                    }
                  }
                }
              }
            }
            return image(y, outputs, height, width);
          };
        }

        // y = a x + b of each channel: γ (x − μ) / √(σ² + ε) + β with the running statistics in a and b
        function batchNorm({ channels }, weights) {
          const [a, b] = [weights.singles(channels), weights.singles(channels)];
          return (x) => {
            const pixels = x.values.length / channels;
            const y = x.values.map((value, i) => {
              const channel = Math.floor(i / pixels);
              return a[channel] * value + b[channel];
            });
            return { ...x, values: y };
          };
        }

        // y = γ (x − μ) / √(σ² + ε) + β with μ and σ² of all values of the image
        function layerNorm({ channels }, weights) {
          const [gamma, beta] = [weights.singles(channels), weights.singles(channels)];
          return (x) => {
            const count = x.values.length;
            const mean = x.values.reduce((sum, value) => sum + value, 0) / count;
            const variance = x.values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
            const scale = 1 / Math.sqrt(variance + 1e-5);
            const pixels = count / channels;
            const y = x.values.map((value, i) => {
              const channel = Math.floor(i / pixels);
              return gamma[channel] * (value - mean) * scale + beta[channel];
            });
            return { ...x, values: y };
          };
        }

        // The class beside the channels of each pixel: a one among zeros
        function label({ classes }) {
          return (x, chosen) => {
            const pixels = x.height * x.width;
            const y = new Float32Array(x.values.length + classes * pixels);
            y.set(x.values);
            y.fill(1, x.values.length + chosen * pixels, x.values.length + (chosen + 1) * pixels);
            return { ...x, values: y, channels: x.channels + classes };
          };
        }

        // Each pixel becomes factor × factor of them
        function upsample({ factor }) {
          return (x) => {
            const [height, width] = [factor * x.height, factor * x.width];
            const y = new Float32Array(x.channels * height * width);
            for (let c = 0, k = 0; c < x.channels; c++) {
              for (let h = 0; h < height; h++) {
                const row = (c * x.height + Math.floor(h / factor)) * x.width;
                for (let v = 0; v < width; v++, k++) y[k] = x.values[row + Math.floor(v / factor)];
              }
            }
            return image(y, x.channels, height, width);
          };
        }

        // x + f(x), f a chain of layers
        function residual({ layers }, weights, factors) {
          const inner = chain(layers, weights, factors);
          return (x, chosen) => {
            const y = inner(x, chosen).values;
            return { ...x, values: x.values.map((value, i) => value + y[i]) };
          };
        }

        const layerTypes = {
          linear, conv2d, conv_transpose2d: convTranspose2d, batch_norm: batchNorm, layer_norm: layerNorm, label, upsample,
          residual,
          reshape: ({ channels, height, width }) => (x) => image(x.values, channels, height, width),
          relu: () => elementwise((value) => (value > 0 ? value : 0)),
          leaky_relu: ({ slope }) => elementwise((value) => (value > 0 ? value : slope * value)),
          tanh: () => elementwise(Math.tanh),
          sigmoid: () => elementwise((value) => 1 / (1 + Math.exp(-value))),
          dropout: () => (x) => x, // in training only
        };

        function chain(layers, weights, factors) {
          const functions = layers.map((layer) => layerTypes[layer.type](layer, weights, factors));
          return (x, chosen) => functions.reduce((y, layer) => layer(y, chosen), x);
        }

        // ---- Noise ---------------------------------------------------------------------------------------------------

        // The upper 32 bits of the product of two 32-bit numbers.
        function multiplyHigh(a, b) {
          const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
          const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
          const rest = aLow * bHigh + (middle & 0xffff);
          return (aHigh * bHigh + (middle >>> 16) + (rest >>> 16)) >>> 0;
        }

        // A block of four words of Philox4x32-10 (Salmon et al. 2011).
        function philox([c0, c1, c2, c3], [k0, k1]) {
          for (let round = 0; round < 10; round++) {
            const [high0, high1] = [multiplyHigh(0xd2511f53, c0), multiplyHigh(0xcd9e8d57, c2)];
            const [low0, low1] = [Math.imul(0xd2511f53, c0) >>> 0, Math.imul(0xcd9e8d57, c2) >>> 0];
            [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
            [k0, k1] = [(k0 + 0x9e3779b9) >>> 0, (k1 + 0xbb67ae85) >>> 0];
          }
          return [c0, c1, c2, c3];
        }

        // Two normal numbers of two words (Box and Muller 1958).
        function normals(word0, word1) {
          const u = Math.fround(Math.fround(word0) * 2 ** -32 + 2 ** -33);
          const [radius, angle] = [Math.sqrt(-2 * Math.log(u)), 2 * Math.PI * word1 / 2 ** 32];
          return [radius * Math.cos(angle), radius * Math.sin(angle)];
        }

        // The noise of picture `number` of a seed: the same as that of gan-dist sample. Its counter is (block, number, 0, 5).
        function noiseOf(number, seed, length) {
          const noise = new Float32Array(length);
          for (let block = 0; 4 * block < length; block++) {
            const words = philox([block, number, 0, 5], seed);
            const four = [...normals(words[0], words[1]), ...normals(words[2], words[3])];
            for (let i = 0; i < 4 && 4 * block + i < length; i++) noise[4 * block + i] = four[i];
          }
          return noise;
        }

        // The point at t of the great circle from p to q: noise is about equally long everywhere (Shoemake 1985).
        function slerp(p, q, t) {
          const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
          const angle = Math.acos(Math.max(-1, Math.min(1, dot(p, q) / Math.sqrt(dot(p, p) * dot(q, q)))));
          const sine = Math.sin(angle);
          const [a, b] = sine > 1e-6 ? [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine] : [1 - t, t];
          return p.map((value, i) => a * value + b * q[i]);
        }

        """#
}
