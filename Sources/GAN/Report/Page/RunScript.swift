extension ReportPage {
    /// The page of one run.
    static let runScript = #"""

        const names = {
          loss_d: "discriminator", loss_g: "generator", loss_d_real: "D on reals", loss_d_fake: "D on fakes", d_real: "D(x)",
          d_fake: "D(G(z))", images_per_second: "images/s", fid: "FID", kid: "KID", class_kl: "class KL",
          classifier_score: "classifier score",
          loss_d_a: "D of A", loss_d_b: "D of B", loss_g_ab: "G to B", loss_g_ba: "F to A", fid_a: "FID of A", fid_b: "FID of B",
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

        // The best known measures first.
        const measures = ["fid", "kid", "precision", "recall", "density", "coverage", "class_kl", "classifier_score", "nearest"];

        function inOrder(keys) {
          return [...measures.filter((key) => keys.includes(key)), ...keys.filter((key) => !measures.includes(key))];
        }

        // Groups of keys that share a chart, measures after the losses, each with its floor.
        function chartPlan(keys) {
          const left = new Set(keys.filter((key) => !key.endsWith("_floor_sd")));
          const plan = [];
          const take = (title, wanted) => {
            const found = wanted.filter((key) => left.delete(key));
            if (found.length > 0) plan.push([title, found]);
          };
          take(...chartsOf[0]);
          take(...chartsOf[1]);
          for (const key of inOrder([...left]).filter((key) => left.has(`${key}_floor`))) {
            take(nameOf(key), [key, `${key}_floor`]);
          }
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
          const told = logged(run, "Warning: ");
          const parts = [
            told.length > 0 ? section("Warnings", list(told)) : null,
            run.missing.length > 0 ? section("What is missing here", list(run.missing)) : null,
          ].filter(Boolean);
          return parts.length > 0 ? element("div", { class: "warnings" }, ...parts) : null;
        }

        function notes(run) {
          const told = logged(run, "Note: ");
          return told.length > 0 ? section("Notes", list(told)) : null;
        }

        // What lines of the log tell that begin so.
        function logged(run, start) {
          return run.warnings.filter(({ text }) => text.startsWith(start)).map(({ text, count }) => (
            text.slice(start.length) + (count > 1 ? ` (and ${count - 1} more like it)` : "")));
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
          const slider = element("input", {
            type: "range", min: 0, max: newest, step: 1, value: newest, id: "time", "aria-label": "Time",
          });
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
            warnings(run), playground(run), pictures(run, run.game === "cyclegan"), training(run), times(run), notes(run),
            settings(run), receipt(run), commands(run)];
        }

        """#
}
