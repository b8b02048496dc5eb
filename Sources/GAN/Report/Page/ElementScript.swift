extension ReportPage {
    /// Elements of the page, and numbers as text.
    static let elementScript = #"""

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

        """#
}
