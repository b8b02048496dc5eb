
        "use strict";

        // An element with attributes and children. A string among the children is text, and never read as HTML.
        function element(name, attributes = {}, ...children) {
          return filled(document.createElement(name), attributes, children);
        }

        function shape(name, attributes = {}, ...children) {
          return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
        }

        function filled(node, attributes, children) {
          for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
          node.append(...children.filter((child) => child !== null));
          return node;
        }

        function section(title, ...children) {
          return element("section", {}, element("h2", {}, title), ...children);
        }

        // A table: names of its columns, and rows of texts or elements. Columns from `numbers` on hold numbers.
        function table(head, rows, numbers = Infinity) {
          const cell = (tag) => (value, column) => element(tag, column >= numbers ? { class: "number" } : {}, value);
          return element("div", { class: "scroll" }, element("table", {},
            head ? element("thead", {}, element("tr", {}, ...head.map(cell("th")))) : null,
            element("tbody", {}, ...rows.map((row) => (
              element("tr", row.isMean ? { class: "mean" } : {}, ...row.map(cell("td"))))))));
        }

        function tile(name, value) {
          return element("div", { class: "tile" }, element("b", {}, value), element("span", {}, name));
        }

        // Four significant digits; large numbers whole, with commas.
        function readable(value) {
          if (value === null || value === undefined || !Number.isFinite(value)) return "–";
          const size = Math.abs(value);
          if (size >= 1000 && size < 1e9) return Math.round(value).toLocaleString("en-US");
          if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2);
          return String(Number(value.toPrecision(4)));
        }

        function duration(seconds) {
          const whole = Math.round(seconds);
          if (whole < 60) return `${readable(seconds)} s`;
          if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
          return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
        }

        // The bytes of an element that holds base64, or null where there is none.
        function bytesOf(id) {
          const holder = document.getElementById(id);
          if (!holder) return null;
          const text = atob(holder.textContent);
          const bytes = new Uint8Array(text.length);
          for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
          return bytes;
        }

        function imageSource(file) {
          return "data:image/png;base64," + document.getElementById(file.id).textContent;
        }

        
        const colours = 8;
        const colour = (number) => `var(--c${number % colours})`;

        // A chart of some series: {name, steps, values, colour, isDashed}. Values may be null. It is drawn as wide as there is
        // room, and again where that changes. The legend tells the values at the pointer, or else the last ones.
        function chart(title, series) {
          series = series.filter((one) => one.values.some((value) => value !== null));
          if (series.length === 0) return null;
          const legend = element("div", { class: "legend" });
          const figure = element("figure", { class: "chart" }, element("h3", {}, title), legend);
          let drawn = null;
          const tell = (step) => legend.replaceChildren(
            ...series.map((one) => legendItem(one, valueAt(one, step))),
            ...(step === null ? [] : [element("span", {}, `step ${readable(step)}`)]));
          const draw = () => {
            const width = Math.round(figure.clientWidth) - 26;
            if (width < 60 || width === drawn) return;
            drawn = width;
            figure.querySelector("svg")?.remove();
            figure.append(drawing(series, width, tell));
          };
          tell(null);
          new ResizeObserver(draw).observe(figure);
          return figure;
        }

        function legendItem(one, value) {
          const mark = element("i", { style: `border-color: ${one.colour}`, class: one.isDashed ? "dashed" : "" });
          return element("span", {}, mark, `${one.name} `, element("b", {}, readable(value)));
        }

        // The value at the step of a series that is nearest, or without a step the last one.
        function valueAt(one, step) {
          let best = null;
          one.values.forEach((value, i) => {
            if (value === null) return;
            if (best === null || step === null || Math.abs(one.steps[i] - step) <= Math.abs(one.steps[best] - step)) best = i;
          });
          return best === null ? null : one.values[best];
        }

        function drawing(series, width, tell) {
          const [height, left, bottom, top] = [190, 46, 20, 8];
          const all = series.flatMap((one) => one.values.filter((value) => value !== null));
          const steps = series.flatMap((one) => one.steps.filter((_, i) => one.values[i] !== null));
          const vertical = ticks(Math.min(...extent(all)), Math.max(...extent(all)), 4);
          const [low, high] = [vertical[0], vertical[vertical.length - 1]];
          const [first, last] = extent(steps);
          const x = (step) => left + (last > first ? (step - first) / (last - first) : 0.5) * (width - left - 8);
          const y = (value) => height - bottom - (value - low) / (high - low) * (height - bottom - top);
          const image = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
          for (const value of vertical) {
            image.append(
              shape("line", { x1: left, x2: width - 8, y1: y(value), y2: y(value), stroke: "var(--line)" }),
              shape("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, readable(value)));
          }
          const round = last > first ? ticks(first, last, width > 320 ? 4 : 3) : [first];
          const marks = round.filter((step) => step >= first && step <= last);
          for (const step of marks) {
            image.append(shape("text", { x: x(step), y: height - 4, "text-anchor": "middle" }, readable(step)));
          }
          for (const one of series) image.append(...curve(one, x, y));
          const pointer = shape("line", { y1: top, y2: height - bottom, stroke: "var(--quiet)", visibility: "hidden" });
          image.append(pointer);
          image.addEventListener("pointermove", (event) => {
            const place = (event.clientX - image.getBoundingClientRect().left) * width / image.clientWidth;
            const wanted = first + (place - left) / (width - left - 8) * (last - first);
            const step = nearest(steps, wanted);
            filled(pointer, { x1: x(step), x2: x(step), visibility: "visible" }, []);
            tell(step);
          });
          image.addEventListener("pointerleave", () => {
            pointer.setAttribute("visibility", "hidden");
            tell(null);
          });
          return image;
        }

        // A line through the values; a few of them are also dots, and one alone is nothing else.
        function curve(one, x, y) {
          const points = one.values.map((value, i) => [one.steps[i], value]).filter(([, value]) => value !== null);
          const path = points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
          const line = shape("path", {
            d: path, fill: "none", stroke: one.colour, "stroke-width": 1.75, "stroke-linejoin": "round",
            ...(one.isDashed ? { "stroke-dasharray": "2 4" } : {}),
          });
          if (points.length > 30 || one.isDashed && points.length > 1) return [line];
          const dot = ([step, value]) => shape("circle", { cx: x(step), cy: y(value), r: 2.5, fill: one.colour });
          return [line, ...points.map(dot)];
        }

        function extent(values) {
          let [low, high] = [Infinity, -Infinity];
          for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
          return [low, high];
        }

        function nearest(values, wanted) {
          return values.reduce((best, value) => (Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best));
        }

        // Round numbers from at most `low` to at least `high`, about `count` of them.
        function ticks(low, high, count) {
          if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
          const rough = (high - low) / count;
          const power = 10 ** Math.floor(Math.log10(rough));
          const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
          const result = [];
          for (let i = Math.floor(low / step + 1e-9); i <= Math.ceil(high / step - 1e-9); i++) result.push(i * step);
          return result;
        }

        
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

        // y[o, h, w] = b[o] + Σ W[o, i, p, q] x[i, s h + p − padding, s w + q − padding],
        // W [outputs, inputs, kernel, kernel]
        function conv2d({ inputs, outputs, kernel, stride, padding, bias }, weights, factors) {
          const w = weights.halves(outputs * inputs * kernel * kernel);
          const b = bias === false ? new Float32Array(outputs) : weights.singles(outputs);
          return (x) => {
            const source = factors(x.values);
            const side = (length) => Math.floor((length + 2 * padding - kernel) / stride) + 1;
            const [height, width] = [side(x.height), side(x.width)];
            const y = new Float32Array(outputs * height * width);
            for (let o = 0, k = 0; o < outputs; o++) {
              y.fill(b[o], o * height * width, (o + 1) * height * width);
              for (let i = 0; i < inputs; i++) {
                for (let p = 0; p < kernel; p++) {
                  for (let q = 0; q < kernel; q++, k++) {
                    const factor = w[k];
                    for (let h = 0; h < height; h++) {
                      const row = stride * h + p - padding;
                      if (row < 0 || row >= x.height) continue;
                      const from = (i * x.height + row) * x.width + q - padding;
                      const to = (o * height + h) * width;
                      for (let v = 0; v < width; v++) {
                        const column = stride * v + q - padding;
                        if (column >= 0 && column < x.width) y[to + v] += factor * source[from + stride * v];
                      }
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
            const y = new Float32Array(outputs * height * width);
            for (let o = 0; o < outputs; o++) y.fill(b[o], o * height * width, (o + 1) * height * width);
            for (let i = 0, k = 0; i < inputs; i++) {
              for (let o = 0; o < outputs; o++) {
                for (let p = 0; p < kernel; p++) {
                  for (let q = 0; q < kernel; q++, k++) {
                    const factor = w[k];
                    for (let h = 0; h < x.height; h++) {
                      const row = stride * h + p - padding;
                      if (row < 0 || row >= height) continue;
                      const from = (i * x.height + h) * x.width;
                      const to = (o * height + row) * width + q - padding;
                      for (let v = 0; v < x.width; v++) {
                        const column = stride * v + q - padding;
                        if (column >= 0 && column < width) y[to + stride * v] += factor * source[from + v];
                      }
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

        
        // A generator draws pictures of noise: bytes [height, width, channels].
        function makeGenerator(plan) {
          const factors = plan.roundsFactors ? roundToBfloat16 : (values) => values;
          const network = chain(plan.layers, weightReaders(factors), factors);
          const pixels = plan.height * plan.width;
          // −1 is black, 1 is white; NaN is black.
          const byte = (value) => {
            const scaled = (value + 1) * 127.5;
            return scaled >= 255 ? 255 : scaled > 0 ? Math.round(scaled) : 0;
          };
          return {
            plan,
            noise: (number) => noiseOf(number, plan.seed, plan.latent),
            generate: (noise, chosen = 0) => {
              const { values } = network(image(Float32Array.from(noise), plan.latent), chosen);
              const bytes = new Uint8Array(plan.channels * pixels);
              for (let c = 0; c < plan.channels; c++) {
                for (let p = 0; p < pixels; p++) bytes[p * plan.channels + c] = byte(values[c * pixels + p]);
              }
              return bytes;
            },
          };
        }

        // Puts a picture's bytes on a canvas.
        function paint(canvas, bytes, plan, left = 0, top = 0) {
          const area = new ImageData(plan.width, plan.height);
          for (let p = 0; p < plan.width * plan.height; p++) {
            for (let c = 0; c < 3; c++) area.data[4 * p + c] = bytes[p * plan.channels + (plan.channels === 3 ? c : 0)];
            area.data[4 * p + 3] = 255;
          }
          canvas.getContext("2d").putImageData(area, left, top);
        }

        // What there is to play with: a grid of pictures, one of them large with its noise, and a walk from it to another.
        class Playground {
          constructor(generator, run) {
            const plan = this.plan = generator.plan;
            [this.generator, this.run] = [generator, run];
            // A class a column, as in the run's grids.
            this.columns = plan.classes && plan.classes <= 16 ? plan.classes : 8;
            this.count = 8 * this.columns;
            this.noises = [];
            this.selected = 0;
            this.drawings = 0;
            this.grid = element("canvas", {
              class: "grid", width: this.columns * (plan.width + 2) + 2, height: 8 * (plan.height + 2) + 2,
              tabindex: 0, role: "img", "aria-label": "Pictures that the generator draws in this page",
            });
            this.single = element("canvas", {
              class: "single", width: plan.width, height: plan.height, role: "img", "aria-label": "One of them",
            });
            this.caption = element("figcaption", { class: "quiet" });
            this.title = element("p", { class: "quiet" });
            this.classMenu = this.makeClassMenu();
            this.sliders = Array.from({ length: Math.min(12, plan.latent) }, (_, i) => this.makeSlider(i));
            this.target = element("input", {
              type: "number", min: 0, max: this.count - 1, value: 1, "aria-label": "Picture to walk to",
            });
            this.way = element("input", {
              type: "range", min: 0, max: 1, step: "any", value: 0, "aria-label": "How far along the walk",
            });
            this.way.addEventListener("input", () => this.drawWalk(Number(this.way.value)));
            this.grid.addEventListener("click", (event) => this.select(this.pictureAt(event)));
            this.grid.addEventListener("keydown", (event) => this.move(event));
            this.element = this.layOut();
            this.show(0);
          }

          layOut() {
            const button = (text, action) => {
              const node = element("button", { type: "button" }, text);
              node.addEventListener("click", action);
              return node;
            };
            return element("div", { class: "pictures" },
              element("figure", {}, this.grid, this.caption),
              element("div", { class: "controls" },
                this.single, this.title,
                element("div", { class: "row" },
                  button(`Another ${this.count}`, () => this.show(this.first + this.count)),
                  button("The first ones", () => this.show(0)), this.classMenu),
                element("div", { class: "row" }, "Walk to picture", this.target, button("Walk", () => this.walk())),
                element("label", {}, element("span", {}, "way"), this.way),
                ...this.sliders.map((slider) => slider.label)));
          }

          makeClassMenu() {
            if (!this.plan.classes) return null;
            const name = (number) => this.run.classNames[number] ?? `class ${number}`;
            const menu = element("select", { "aria-label": "Class" }, element("option", { value: "" }, "all classes"),
              ...Array.from({ length: this.plan.classes }, (_, i) => element("option", { value: i }, name(i))));
            menu.addEventListener("change", () => this.draw());
            return menu;
          }

          makeSlider(index) {
            const input = element("input", {
              type: "range", min: -3, max: 3, step: "any", class: "noise", "aria-label": `Noise number ${index}`,
            });
            const output = element("output");
            input.addEventListener("input", () => {
              this.noises[this.selected][index] = Number(input.value);
              output.value = Number(input.value).toFixed(2);
              this.drawPicture(this.selected);
            });
            return { input, output, label: element("label", {}, element("span", {}, `z[${index}]`), input, output) };
          }

          // Shows the pictures from a number on.
          show(first) {
            this.first = first;
            this.noises = Array.from({ length: this.count }, (_, i) => this.generator.noise(first + i));
            const network = this.plan.isAverage ? "the averaged generator" : "the generator";
            this.caption.textContent = `Pictures ${first} to ${first + this.count - 1} of the run's seed, as gan-dist sample ` +
              `draws them, by ${network} after step ${readable(this.plan.step)}. Click on one.`;
            this.select(this.selected);
            this.draw();
          }

          classOf(picture) {
            const chosen = this.classMenu?.value ?? "";
            return chosen === "" ? (this.plan.classes ? picture % this.plan.classes : 0) : Number(chosen);
          }

          bytes(noise, picture) {
            return this.generator.generate(noise, this.classOf(picture));
          }

          // Draws the selected picture at once and the others one after the other, so that the page answers meanwhile.
          draw() {
            const drawing = ++this.drawings;
            const context = this.grid.getContext("2d");
            context.fillRect(0, 0, this.grid.width, this.grid.height);
            this.drawPicture(this.selected);
            let next = 0;
            const go = () => {
              const start = performance.now();
              while (drawing === this.drawings && next < this.count && performance.now() - start < 12) this.drawPicture(next++);
              if (drawing === this.drawings && next < this.count) setTimeout(go);
              if (drawing === this.drawings && next === this.count) window.ganDist.isDrawn = true;
            };
            window.ganDist.isDrawn = false;
            setTimeout(go);
          }

          drawPicture(picture) {
            const bytes = this.bytes(this.noises[picture], picture);
            const [row, column] = [Math.floor(picture / this.columns), picture % this.columns];
            paint(this.grid, bytes, this.plan, 2 + column * (this.plan.width + 2), 2 + row * (this.plan.height + 2));
            if (picture === this.selected) paint(this.single, bytes, this.plan);
            window.ganDist.firstPicture ??= performance.now();
          }

          pictureAt(event) {
            const box = this.grid.getBoundingClientRect();
            const within = (share, count) => Math.max(0, Math.min(count - 1, Math.floor(share * count)));
            return within((event.clientY - box.top) / box.height, 8) * this.columns
              + within((event.clientX - box.left) / box.width, this.columns);
          }

          move(event) {
            const change = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
            if (change === undefined) return;
            event.preventDefault();
            this.select(Math.max(0, Math.min(this.count - 1, this.selected + change)));
          }

          select(picture) {
            this.selected = picture;
            this.title.textContent = `Picture ${this.first + picture}: its first noise numbers`;
            this.sliders.forEach(({ input, output }, i) => {
              input.value = this.noises[picture][i];
              output.value = this.noises[picture][i].toFixed(2);
            });
            this.way.value = 0;
            if (Number(this.target.value) === picture) this.target.value = (picture + 1) % this.count;
            this.drawPicture(picture);
          }

          drawWalk(t) {
            const target = Math.max(0, Math.min(this.count - 1, Math.floor(Number(this.target.value)) || 0));
            paint(this.single, this.bytes(slerp(this.noises[this.selected], this.noises[target], t), this.selected), this.plan);
          }

          // Goes the whole way in three seconds.
          walk() {
            const start = performance.now();
            const drawing = this.walks = (this.walks ?? 0) + 1;
            const go = () => {
              if (drawing !== this.walks) return;
              const t = Math.min(1, (performance.now() - start) / 3000);
              this.way.value = t;
              this.drawWalk(t);
              if (t < 1) requestAnimationFrame(go);
            };
            go();
          }
        }

        
        const names = {
          loss_d: "discriminator", loss_g: "generator", loss_d_real: "D on reals", loss_d_fake: "D on fakes", d_real: "D(x)",
          d_fake: "D(G(z))", images_per_second: "images/s", fid: "FID", kid: "KID", class_kl: "class KL", classifier_score: "classifier score",
          spread_fake: "fakes", spread_real: "reals", distance_fake: "fakes", distance_real: "reals",
        };
        const nameOf = (key) => names[key] ?? key.replaceAll("_", " ");

        // Charts of several curves. What is in none of them has one of its own.
        const chartsOf = [
          ["Losses", ["loss_d", "loss_g", "loss_d_real", "loss_d_fake", "loss_d_a", "loss_d_b", "loss_g_ab", "loss_g_ba", "loss",
            "test_loss"]],
          ["Scores of reals, D(x), and of fakes, D(G(z))", ["d_real", "d_fake"]],
          ["Accuracy", ["accuracy", "test_accuracy"]],
          ["Loss of the cycles and of what is in the domain already", ["cycle_a", "cycle_b", "identity_a", "identity_b"]],
          ["Spread of a pixel over pictures", ["spread_fake", "spread_real"]],
          ["Mean distance of two pictures", ["distance_fake", "distance_real"]],
          ["Change of what translation is given", ["change_ab", "change_ba"]],
        ];
        // What a curve is called that has a chart of its own.
        const fullNames = {
          images_per_second: "Images a second", probe_change: "Change of the same 64 pictures since the line before",
          loss_d: "Discriminator's loss", loss_g: "Generator's loss", loss_d_real: "Discriminator's loss on reals",
          loss_d_fake: "Discriminator's loss on fakes", spread_fake: "Spread of a pixel over fakes",
          spread_real: "Spread of a pixel over reals", distance_fake: "Mean distance of two fakes",
          distance_real: "Mean distance of two reals",
        };

        // Groups of keys that share a chart, measures first after the losses, each with its floor.
        function chartPlan(keys) {
          const left = new Set(keys.filter((key) => !key.endsWith("_floor_sd")));
          const plan = [];
          const take = (title, wanted) => {
            const found = wanted.filter((key) => left.delete(key));
            if (found.length > 0) plan.push([title, found]);
          };
          take(...chartsOf[0]);
          take(...chartsOf[1]);
          for (const key of [...left].filter((key) => left.has(`${key}_floor`))) take(nameOf(key), [key, `${key}_floor`]);
          chartsOf.slice(2).forEach((one) => take(...one));
          for (const key of [...left]) take(fullNames[key] ?? nameOf(key), [key]);
          return plan;
        }

        function last(run, key) {
          return (run.statistics.curves[key] ?? []).findLast((value) => value !== null) ?? null;
        }

        function charts({ steps, curves }) {
          return chartPlan(Object.keys(curves)).map(([title, group]) => chart(title, group.map((key, i) => ({
            name: key.endsWith("_floor") ? "real images" : nameOf(key), steps, values: curves[key], colour: colour(i),
            isDashed: key.endsWith("_floor") || key.endsWith("_real") && key !== "d_real" && key !== "loss_d_real",
          }))));
        }

        function stepsOf({ status }) {
          return status.step ? `${readable(+status.step)} of ${readable(+status.steps)}` : "–";
        }

        function tiles(run) {
          const { status, statistics: { curves } } = run;
          // A run that was killed still says that it is running.
          const since = status.state === "running" && status.updated ? `state, at ${status.updated}` : "state";
          const found = [tile(since, status.state ?? "unknown"), tile("steps", stepsOf(run))];
          for (const key of ["fid", "kid", "test_accuracy", "loss_d", "loss_g", "loss", "images_per_second"]) {
            const value = last(run, key);
            if (value === null || found.length >= 7) continue;
            const floor = last(run, `${key}_floor`);
            const kind = key.startsWith("loss_") ? `loss, ${nameOf(key)}` : nameOf(key);
            found.push(tile(floor === null ? kind : `${kind} (real images: ${readable(floor)})`, readable(value)));
          }
          return element("div", { class: "tiles" }, ...found);
        }

        function list(texts) {
          return element("ul", {}, ...texts.map((text) => element("li", {}, text)));
        }

        function warnings(run) {
          const parts = [];
          if (run.warnings.length > 0) {
            const told = ({ text, count }) => (count > 1 ? `${text} (and ${count - 1} more like it)` : text);
            parts.push(section("Warnings and notes", list(run.warnings.map(told))));
          }
          if (run.missing.length > 0) parts.push(section("What is missing here", list(run.missing)));
          return parts.length > 0 ? element("div", { class: "warnings" }, ...parts) : null;
        }

        function pictureFigure(file, note) {
          return element("figure", {}, element("img", { src: imageSource(file), alt: `${file.name}, ${file.title}` }),
            element("figcaption", { class: "quiet" }, note));
        }

        // The grids over time, beside real pictures.
        function pictures({ pictures: { grids, reals, gridCount } }, isCycle) {
          if (grids.length === 0 && reals.length === 0) return null;
          const domain = (file) => (file.title === "real" ? "" : ` of ${file.title}`);
          const all = reals.map((file) => pictureFigure(file, `${file.name}: real pictures${domain(file)}`));
          if (grids.length === 0) return section("Pictures", element("div", { class: "pictures" }, ...all));
          const image = element("img", {});
          const caption = element("figcaption", { class: "quiet" });
          const newest = grids.length - 1;
          const slider = element("input", { type: "range", min: 0, max: newest, step: 1, value: newest, id: "time", "aria-label": "Time" });
          const show = () => {
            const file = grids[Number(slider.value)];
            filled(image, { src: imageSource(file), alt: `${file.name}, ${file.title}` }, []);
            caption.textContent = `${file.name}: ${file.title}` + (isCycle ? "; rows a, G(a), F(G(a)), b, F(b), G(F(b))" : "");
          };
          slider.addEventListener("input", show);
          show();
          const thinned = grids.length < gridCount ? `${grids.length} of the run's ${gridCount} grids. ` : "";
          return section("Pictures over time",
            element("label", { class: "pressed" }, element("span", {}, "time"), slider),
            element("div", { class: "pictures" }, element("figure", {}, image, caption), ...all),
            element("p", { class: "quiet" }, `${thinned}${isCycle ? "The same pictures" : "The same noise"} each time.`));
        }

        // Where the time of the ranks went: computing, in reductions with all ranks there, waiting for others.
        function times({ statistics: { ranks, stepSeconds, lines, steps } }) {
          if (ranks.length === 0 || !(stepSeconds > 0)) return null;
          const share = (seconds) => Math.max(0, Math.min(1, seconds / stepSeconds));
          const percent = (part) => `${(100 * part).toFixed(1)} %`;
          const rows = ranks.slice(0, 64).flatMap(({ waiting, communication }, rank) => {
            const [w, c] = [share(waiting), share(communication)];
            const part = (size, number) => element("span", { style: `width: ${100 * size}%; background: ${colour(number)}` });
            return [element("span", {}, `rank ${rank}`),
              element("div", { class: "bar" }, part(Math.max(0, 1 - w - c), 0), part(c, 1), part(w, 2)),
              element("span", {}, `${percent(c)} in reductions, ${percent(w)} waiting`)];
          });
          const mark = (text, number) => element("span", {}, element("i", { style: `border-color: ${colour(number)}` }), text);
          const read = steps.length < lines ? `, in ${steps.length} of ${lines} lines of stats.jsonl` : "";
          return section("Where the ranks' time went",
            element("div", { class: "legend" }, mark("computing", 0), mark("in reductions with all ranks there", 1),
              mark("waiting for another rank", 2)),
            element("div", { class: "times" }, ...rows),
            element("p", { class: "quiet" }, `Of ${duration(stepSeconds)} of training steps${read}.` +
              (ranks.length > 64 ? ` The first 64 of ${ranks.length} ranks.` : "")));
        }

        function settings(run) {
          const all = run.settings;
          if (!all) return null;
          const changed = all.settings.filter((one) => one.preset !== undefined);
          const row = ({ key, value, preset }) => [element("code", {}, key), value, preset ?? ""];
          return section("Configuration",
            element("p", {}, changed.length > 0 ? `What differs from preset ${run.preset}:` : `Preset ${run.preset}, as it is.`),
            changed.length > 0 ? table(["field", "here", "in the preset"], changed.map(row)) : null,
            element("details", { class: "settings" }, element("summary", {}, "All fields"),
              table(["field", "value", "what it is"],
                all.settings.map(({ key, value, help }) => [element("code", {}, key), value, help]))));
        }

        function receipt({ receipt: facts }) {
          if (facts.length === 0) return null;
          return section("Receipt", table(null, facts.map(({ name, value }) => [name, element("code", {}, value)])),
            element("p", { class: "quiet" },
              "The same configuration, data and seed give the same bytes of weights on any number of ranks."));
        }

        function commands({ commands: all }) {
          if (all.length === 0) return null;
          return section("Commands to go on with", ...all.flatMap(({ purpose, command }) => [
            element("div", { class: "quiet" }, purpose), element("pre", {}, command)]));
        }

        function playground(run) {
          if (!run.generator) return run.generatorNote ? section("Generator", element("p", {}, run.generatorNote)) : null;
          const generator = makeGenerator(run.generator);
          window.ganDist = { generate: generator.generate, noise: generator.noise };
          const play = new Playground(generator, run);
          return section("Draw with the generator", play.element);
        }

        function training({ statistics }) {
          if (statistics.steps.length === 0) return null;
          return section("Training", element("div", { class: "charts" }, ...charts(statistics).filter(Boolean)));
        }

        function runPage(run) {
          return [element("h1", {}, run.name), tiles(run), run.status.message ? element("p", {}, run.status.message) : null,
            warnings(run), playground(run), pictures(run, run.game === "cyclegan"), training(run), times(run), settings(run),
            receipt(run), commands(run)];
        }

        
        const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

        // The mean, and the standard deviation of a sample.
        function meanAndDeviation(values) {
          const centre = mean(values);
          const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
          return `${readable(centre)} ± ${Number(deviation.toPrecision(2))}`;
        }

        // What a table of runs tells: measures where there are any, losses and speed.
        function columnsOf(runs) {
          const keys = new Set(runs.flatMap((run) => Object.keys(run.statistics.curves)));
          const measures = [...keys].filter((key) => keys.has(`${key}_floor`) || key.startsWith("test_"));
          return [...new Set([...measures, "loss_d", "loss_g", "loss", "images_per_second"])].filter((key) => keys.has(key));
        }

        // A row a run, and below the runs that differ only in their seeds their mean.
        function finalTable({ runs, groups }) {
          const columns = columnsOf(runs);
          const rows = groups.flatMap((group, number) => {
            const members = group.runs.map((i) => runs[i]);
            const mark = () => element("i", { style: `border-color: ${colour(number)}` });
            const own = members.map((run) => [
              element("span", { class: "legend" }, element("span", {}, mark(), run.name)), run.preset ?? "–", run.seed ?? "–",
              stepsOf(run), run.status.state ?? "–",
              ...columns.map((key) => readable(last(run, key)))]);
            if (members.length < 2) return own;
            const means = columns.map((key) => {
              const values = members.map((run) => last(run, key)).filter((value) => value !== null);
              return values.length > 1 ? meanAndDeviation(values) : "–";
            });
            const row = [`mean ± sd of ${members.length} seeds`, "", "", "", "", ...means];
            row.isMean = true;
            return [...own, row];
          });
          return table(["run", "preset", "seed", "step", "state", ...columns.map(nameOf)], rows, 5);
        }

        // A chart for each kind of number, with a curve for each run; runs that differ only in their seeds have one colour.
        function comparedCharts({ runs, groups }) {
          const keys = runs.flatMap((run) => Object.keys(run.statistics.curves)).filter((key) => !/_floor(_sd)?$/.test(key));
          const series = (key) => groups.flatMap((group, number) => (
            group.runs.map((i) => runs[i]).filter((run) => key in run.statistics.curves).map((run) => ({
              name: group.runs.length > 1 ? `${run.name}, seed ${run.seed}` : run.name, steps: run.statistics.steps,
              values: run.statistics.curves[key], colour: colour(number),
            }))));
          return [...new Set([...columnsOf(runs), ...keys])].map((key) => chart(fullNames[key] ?? nameOf(key), series(key)));
        }

        function comparison(content) {
          const missing = content.runs.flatMap((run) => run.missing.map((text) => `${run.name}: ${text}`));
          const grids = content.runs.flatMap((run) => (
            run.pictures.grids.slice(-1).map((file) => pictureFigure(file, `${run.name}, ${file.title}`))));
          return [element("h1", {}, `${content.runs.length} runs`),
            section("Last values", finalTable(content),
              element("p", { class: "quiet" }, "Measures compare only where the same classifier measured as many pictures.")),
            missing.length > 0 ? element("div", { class: "warnings" }, section("What is missing here", list(missing))) : null,
            grids.length > 0 ? section("Last pictures", element("div", { class: "pictures" }, ...grids)) : null,
            section("Training", element("div", { class: "charts" }, ...comparedCharts(content).filter(Boolean))),
            element("p", { class: "quiet" }, "The page of a single run has its generator to draw with, and its receipt.")];
        }

        (function () {
          const content = JSON.parse(document.getElementById("content").textContent);
          const parts = content.runs.length === 1 ? runPage(content.runs[0]) : comparison(content);
          document.getElementById("page").append(...parts.filter(Boolean),
            element("p", { class: "quiet" }, `Written by ${content.program} at ${content.written}.`));
        })();

        