extension ReportPage {
    /// The page that compares runs, and what puts a page together.
    static let comparisonScript = #"""

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
          const measured = inOrder([...keys]).filter((key) => keys.has(`${key}_floor`) || key.startsWith("test_"));
          return [...new Set([...measured, "loss_d", "loss_g", "loss", "images_per_second"])].filter((key) => keys.has(key));
        }

        // A row a run, and below the runs that differ only in their seeds their mean.
        function finalTable({ runs, groups }) {
          const columns = columnsOf(runs);
          const rows = groups.flatMap((group, number) => {
            const members = group.runs.map((i) => runs[i]);
            const mark = () => element("i", { style: `border-color: ${colour(number)}` });
            const own = members.map((run) => [
              element("span", { class: "legend run" }, mark(), run.name), run.preset ?? "–", run.seed ?? "–",
              run.status.step ? readable(+run.status.step) : "–", run.status.state ?? "–",
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
          const head = columns.map((key) => ({ loss_d: "loss, D", loss_g: "loss, G" })[key] ?? nameOf(key));
          return table(["run", "preset", "seed", "step", "state", ...head], rows, 5);
        }

        // A chart for each kind of number, with a curve for each run; runs that differ only in their seeds have one colour.
        function comparedCharts({ runs, groups }) {
          const isOfRealImages = (key) => /_floor(_sd)?$|^(spread|distance)_real$/.test(key);
          const keys = runs.flatMap((run) => Object.keys(run.statistics.curves)).filter((key) => !isOfRealImages(key));
          const series = (key) => groups.flatMap((group, number) => (
            group.runs.map((i) => runs[i]).filter((run) => key in run.statistics.curves).map((run) => ({
              name: group.runs.length > 1 ? `${run.name}, seed ${run.seed}` : run.name, steps: run.statistics.steps,
              values: run.statistics.curves[key], colour: colour(number),
            }))));
          const floor = (key) => runs.filter((run) => `${key}_floor` in run.statistics.curves).slice(0, 1).map((run) => ({
            name: "real images", steps: run.statistics.steps, values: run.statistics.curves[`${key}_floor`],
            colour: "var(--quiet)", isDashed: true,
          }));
          return [...new Set([...columnsOf(runs), ...keys])].map((key) => (
            chart(fullNames[key] ?? nameOf(key), [...series(key), ...floor(key)])));
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

        """#
}
