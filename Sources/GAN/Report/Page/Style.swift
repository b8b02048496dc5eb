extension ReportPage {
    /// One column on a phone, several where there is room; colours for light and for dark; without what is pressed on paper.
    static let style = #"""

        :root {
          color-scheme: light dark;
          --ground: #ffffff; --panel: #f6f7f9; --line: #d9dde3;
          --text: #1b1f24; --quiet: #59636e; --strong: #0b57d0; --warn: #8a5a00;
          --c0: #1f6fd1; --c1: #d1570a; --c2: #178a58; --c3: #8e44ad;
          --c4: #b3261e; --c5: #0b8394; --c6: #7a6a00; --c7: #c2387f;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #14171b; --panel: #1d2126; --line: #363c44;
            --text: #e7eaee; --quiet: #a3acb7; --strong: #8ab8ff; --warn: #f0c36d;
            --c0: #6aa9ff; --c1: #ff9d5c; --c2: #4fcf93; --c3: #c792ea;
            --c4: #ff8a80; --c5: #4dd0e1; --c6: #d8c84b; --c7: #ff8cc3;
          }
        }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 76rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
        h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
        h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
        p { margin: .5rem 0; max-width: 48rem; }
        .quiet, figcaption, .legend { color: var(--quiet); }
        .quiet { font-size: .875rem; }
        .tiles { display: flex; flex-wrap: wrap; gap: .5rem; margin: .75rem 0; }
        .tile, .chart, pre { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; }
        .tile { padding: .4rem .75rem; min-width: 7rem; }
        .tile b { display: block; font-size: 1.15rem; font-weight: 600; }
        .tile span { font-size: .8125rem; color: var(--quiet); }
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
        figure { margin: 0; min-width: 0; }
        .chart { padding: .6rem .75rem; break-inside: avoid; }
        .chart h3 { font-size: .9375rem; margin: 0; }
        .chart svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
        .chart text { font: 11px system-ui, sans-serif; fill: var(--quiet); }
        .legend { display: flex; flex-wrap: wrap; gap: 0 .9rem; font-size: .8125rem; min-height: 1.25rem; }
        .legend i { display: inline-block; width: 1rem; border-top: 3px solid; vertical-align: middle; margin-right: .3rem; }
        .legend i.dashed { border-top-style: dotted; }
        .legend b { color: var(--text); font-variant-numeric: tabular-nums; font-weight: 600; }
        .pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
        .pictures figure { flex: 1 1 16rem; max-width: 32rem; break-inside: avoid; }
        .pictures img, canvas { display: block; width: 100%; height: auto; image-rendering: pixelated; background: #000; }
        canvas.single { width: 14rem; max-width: 100%; }
        canvas.grid { cursor: pointer; }
        .controls { flex: 1 1 16rem; max-width: 26rem; }
        label { display: flex; gap: .5rem; align-items: center; font-size: .875rem; min-height: 1.9rem; }
        label > span { min-width: 2.6rem; }
        input[type=range] { flex: 1; min-width: 0; accent-color: var(--strong); }
        output { font-variant-numeric: tabular-nums; min-width: 3rem; text-align: right; }
        button, select, input[type=number] {
          font: inherit; font-size: .9375rem; color: inherit; background: var(--panel);
          border: 1px solid var(--line); border-radius: .4rem;
          padding: .3rem .7rem; min-height: 2.25rem; max-width: 100%;
        }
        input[type=number] { width: 5.5rem; }
        button { cursor: pointer; }
        button:hover { border-color: var(--strong); }
        :focus-visible { outline: 2px solid var(--strong); outline-offset: 2px; }
        .row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .5rem 0; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: .875rem; overflow-wrap: break-word; }
        td .run { display: inline; color: inherit; font-size: inherit; white-space: nowrap; }
        td code { overflow-wrap: anywhere; }
        th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
        td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        tr.mean td { font-weight: 600; background: var(--panel); }
        code, pre { font: .8125rem/1.5 ui-monospace, monospace; }
        pre { padding: .5rem .75rem; margin: .25rem 0; white-space: pre-wrap; }
        ul { padding-left: 1.2rem; margin: .25rem 0; }
        .warnings { border-left: 4px solid var(--warn); padding-left: .75rem; }
        .bar { display: flex; height: 1rem; min-width: 6rem; border-radius: .25rem; overflow: hidden; background: var(--line); }
        .bar span { display: block; }
        .times { display: grid; grid-template-columns: auto 1fr auto; gap: .3rem .75rem; align-items: center; }
        .times { font-size: .875rem; max-width: 48rem; }
        details summary { cursor: pointer; color: var(--strong); }
        @media print {
          :root {
            --ground: #fff; --panel: #fff; --line: #bbb; --text: #000; --quiet: #444; --strong: #000; --warn: #666;
            --c0: #1f6fd1; --c1: #d1570a; --c2: #178a58; --c3: #8e44ad;
            --c4: #b3261e; --c5: #0b8394; --c6: #7a6a00; --c7: #c2387f;
          }
          body { font-size: 11pt; }
          main { max-width: none; padding: 0; }
          * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          button, select, input, .controls, details.settings > summary, .pressed { display: none; }
          .charts { grid-template-columns: 1fr 1fr; }
          .pictures figure { max-width: 45%; }
          h2 { break-after: avoid; }
          tr, pre, .tile { break-inside: avoid; }
        }

        """#
}
