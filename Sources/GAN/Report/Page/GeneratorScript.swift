extension ReportPage {
    /// The generator to play with.
    static let generatorScript = #"""

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

        """#
}
