extension ReportPage {
    /// Curves as SVG.
    static let chartScript = #"""

        const colours = 8;
        const colour = (number) => `var(--c${number % colours})`;

        // A chart of some series: {name, steps, values, colour, isDashed}. Values may be null. It is drawn as wide as there is
        // room, and again where that changes. The legend tells the values at the pointer, or else the last ones.
        function chart(title, series) {
          series = series.filter((one) => one.values.some((value) => value !== null));
          if (series.length === 0) return null;
          const legend = element("div", { class: "legend" });
          const heading = element("h3", {}, title[0].toUpperCase() + title.slice(1));
          const figure = element("figure", { class: "chart" }, heading, legend);
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
          const [height, left, bottom, top] = [180, 46, 18, 8];
          const all = series.flatMap((one) => one.values.filter((value) => value !== null));
          const steps = series.flatMap((one) => one.steps);
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
            const place = x(step) > width - 30 ? { x: width - 2, "text-anchor": "end" } : { x: x(step), "text-anchor": "middle" };
            image.append(shape("text", { ...place, y: height - 4 }, readable(step)));
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

        """#
}
