"""The style and the filter script of the page. Texts only; the page works without the filter."""

STYLE = """
:root {
  --paper: #fbfbf9; --card: #ffffff; --ink: #1d2023; --soft: #5d6166; --line: #e3e3de;
  --destroy: #b3261e; --replace: #8a6100; --create: #2b6e30; --adjust: #22658a; --unknown: #6b5b95; --held: #6b5b95;
  --destroy-bg: #fdeeec; --replace-bg: #fcf5e3; --create-bg: #edf6ed; --adjust-bg: #ebf4f9; --other-bg: #f1f1ee;
  --edge: #a3a39c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131517; --card: #1b1e21; --ink: #e8e8e4; --soft: #a0a4a8; --line: #2e3236;
    --destroy: #f28b82; --replace: #e3b341; --create: #7ecb82; --adjust: #7cc0e8; --unknown: #b9a7e6; --held: #b9a7e6;
    --destroy-bg: #38201e; --replace-bg: #33290f; --create-bg: #1a2f1d; --adjust-bg: #172a36; --other-bg: #24282c;
    --edge: #6d7278;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.25rem; }
h2 small { margin-left: .75rem; font-size: .875rem; font-weight: 400; color: var(--soft); }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
code, pre, dd, del, ins, .symbol, .place { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
code, pre, dd, del, ins, .symbol, .place { font-size: .8125rem; }
code, .place, .amount, .facts, .over { color: var(--soft); }
.over { margin: 0; font-size: .875rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1.25rem 0 .75rem; padding: 0; list-style: none; }
.tile { min-width: 6rem; padding: .5rem .875rem; border-radius: .5rem; background: var(--other-bg); }
.tile b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { font-size: .8125rem; }
.tile.none { color: var(--soft); }
.tile.destroy { background: var(--destroy-bg); color: var(--destroy); }
.tile.replace { background: var(--replace-bg); color: var(--replace); }
.tile.create { background: var(--create-bg); color: var(--create); }
.tile.adjust { background: var(--adjust-bg); color: var(--adjust); }
.tile.unknown, .tile.held { color: var(--unknown); }
.verdict b { margin-right: .5rem; } .verdict span { color: var(--soft); }
.verdict.refused b { color: var(--destroy); }
.note { margin: .5rem 0; padding: .625rem .875rem; border-left: 3px solid var(--replace); }
.note { background: var(--replace-bg); }
.card { margin: .5rem 0; padding: .75rem 1rem; border-left: 3px solid; border-radius: .25rem; }
.card.error { border-color: var(--destroy); background: var(--destroy-bg); }
.card.warning { border-color: var(--replace); background: var(--replace-bg); }
.card pre { margin: .5rem 0; overflow-x: auto; }
.group { margin: 0 0 1.25rem; }
.head { margin: 0 0 .375rem; font-size: .875rem; }
.head.destroy, .destroy .symbol { color: var(--destroy); }
.head.replace, .head.move, .replace .symbol, .move .symbol { color: var(--replace); }
.head.create, .create .symbol { color: var(--create); }
.head.adjust, .adjust .symbol { color: var(--adjust); }
.head.unknown, .head.held, .unknown .symbol, .held .symbol { color: var(--unknown); }
.row { padding: .625rem .875rem; border: 1px solid var(--line); background: var(--card); }
.row + .row { border-top: 0; }
.row:first-of-type { border-radius: .5rem .5rem 0 0; } .row:last-of-type { border-radius: 0 0 .5rem .5rem; }
.row:only-of-type { border-radius: .5rem; }
.row[hidden], .group[hidden] { display: none; }
.what { display: flex; flex-wrap: wrap; gap: 0 .625rem; align-items: baseline; margin: 0; }
.symbol { flex: none; width: 2rem; font-weight: 700; white-space: pre; }
.what .place { margin-left: auto; }
.why, .row dl, .row details { margin: .125rem 0 0 2.625rem; }
.why code { margin-left: .25rem; }
dl { margin: 0; }
dl div { display: flex; flex-wrap: wrap; gap: 0 .75rem; }
dt { font-size: .8125rem; min-width: 8rem; font-weight: 600; overflow-wrap: anywhere; }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
del { color: var(--soft); text-decoration: none; } ins { text-decoration: none; font-weight: 600; }
summary { cursor: pointer; font-size: .875rem; color: var(--soft); }
.who { margin: .25rem 0; padding-left: 1rem; font-size: .875rem; overflow-wrap: anywhere; }
#filter { width: 100%; margin: 0 0 1rem; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: inherit; font: inherit; }
.picture, .wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
.picture svg { display: block; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { padding: .5rem .875rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: .8125rem; font-weight: 400; color: var(--soft); }
tbody th { width: 1%; padding-right: 2rem; font-weight: 600; white-space: nowrap; }
tbody th small { display: block; font-weight: 400; color: var(--soft); }
.wave { display: inline-block; margin: 0 1rem .125rem 0; vertical-align: top; }
.wave[open] { display: block; }
.graph { font: 13px/1.4 system-ui, sans-serif; color: var(--ink); }
.graph rect { fill: var(--other-bg); stroke: var(--edge); rx: 6px; }
.graph text { fill: currentColor; } .graph .name { font-weight: 600; }
.graph .edge { fill: none; stroke: var(--edge); stroke-width: 1.5; } .graph .tip { fill: var(--edge); }
.graph .destroy rect { fill: var(--destroy-bg); stroke: var(--destroy); }
.graph .replace rect { fill: var(--replace-bg); stroke: var(--replace); }
.graph .create rect { fill: var(--create-bg); stroke: var(--create); }
.graph .adjust rect { fill: var(--adjust-bg); stroke: var(--adjust); }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
footer { color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  main { padding: 1.25rem .875rem 2rem; } h1 { font-size: 1.5rem; }
  h2 small { display: block; margin: .125rem 0 0; }
  .tiles { display: grid; grid-template-columns: repeat(3, 1fr); } .tile { min-width: 0; }
  tbody th { padding-right: .875rem; } .what .place { margin-left: 2.625rem; flex-basis: 100%; }
  dt { min-width: 100%; }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; }
  main { max-width: none; padding: 0; } #filter { display: none; }
  .row, .card, .tile, tr { break-inside: avoid; }
  .picture { overflow: visible; } .picture svg { max-width: 100%; height: auto; }
}
"""

FILTER_SCRIPT = """
const box = document.getElementById("filter");
box.hidden = false;
box.addEventListener("input", () => {
  const wanted = box.value.toLowerCase();
  for (const group of document.querySelectorAll(".group")) {
    let seen = false;
    for (const row of group.querySelectorAll(".row")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      seen = seen || !row.hidden;
    }
    group.hidden = !seen;
  }
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
"""
