import { type Markup, markup, verbatim } from '../shared/markup.js';

/** Colours of verdicts are those of the pictures; a verdict is told by word and sign as well. */
const contactSheetStyle = verbatim(`<style>
:root {
  color-scheme: light dark;
  --ground: #f3f4f6; --paper: #ffffff; --ink: #1c2128; --faint: #59636e; --line: #d5d9de;
  --anomalous: #b84f00; --good: #0072b2; --failed: #4b5563; --on-colour: #ffffff; --accent: #b84f00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1117; --paper: #161b22; --ink: #e6edf3; --faint: #9da7b1; --line: #3d444d;
    --anomalous: #ff9d4d; --good: #6cbcf0; --failed: #c3cad2; --on-colour: #10141a; --accent: #ff9d4d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
header, main { max-width: 1560px; margin: 0 auto; padding: 16px 20px; }
h1 { margin: 8px 0 4px; font-size: 1.5rem; }
h2 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: 0; }
.faint { color: var(--faint); font-size: 0.875rem; }
input[name="show"] { position: absolute; opacity: 0; }
.filter { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 14px; }
.filter label { padding: 6px 14px; border: 1px solid var(--line); border-radius: 99px; background: var(--paper); cursor: pointer; }
#show-all:checked ~ header [for="show-all"], #show-anomalous:checked ~ header [for="show-anomalous"],
#show-failed:checked ~ header [for="show-failed"], #show-good:checked ~ header [for="show-good"] {
  background: var(--ink); color: var(--paper); border-color: var(--ink);
}
#show-all:focus-visible ~ header [for="show-all"], #show-anomalous:focus-visible ~ header [for="show-anomalous"],
#show-failed:focus-visible ~ header [for="show-failed"], #show-good:focus-visible ~ header [for="show-good"] {
  outline: 3px solid var(--good); outline-offset: 2px;
}
#show-anomalous:checked ~ main article:not(.anomalous), #show-failed:checked ~ main article:not(.failed),
#show-good:checked ~ main article:not(.good) { display: none; }
article {
  display: grid; grid-template-columns: 320px 1fr; gap: 12px 24px; margin-bottom: 16px; padding: 16px;
  background: var(--paper); border: 1px solid var(--line); border-left: 6px solid var(--verdict); border-radius: 8px;
  content-visibility: auto; contain-intrinsic-size: auto 330px;
}
.anomalous { --verdict: var(--anomalous); }
.good { --verdict: var(--good); }
.failed { --verdict: var(--failed); }
.facts > * + * { margin-top: 8px; }
.verdict { display: inline-block; padding: 2px 12px; border-radius: 4px; background: var(--verdict); color: var(--on-colour); font-weight: 700; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 0; font-size: 0.9375rem; }
dt { color: var(--faint); }
dd { margin: 0; font-weight: 600; }
ul { margin: 0; padding: 0; list-style: none; font-size: 0.875rem; }
li { display: flex; justify-content: space-between; gap: 12px; }
.remark { padding: 6px 10px; border-left: 3px solid var(--accent); background: var(--ground); font-size: 0.875rem; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(6, 1fr); gap: 16px; align-items: start; }
figure { grid-column: span 2; margin: 0; --height: 260px; }
.good figure { --height: 170px; }
figure.chart { grid-column: span 4; }
figure.pair, figure.chart { --height: 360px; }
figure img { display: block; width: min(100%, var(--height) * var(--aspect)); aspect-ratio: var(--aspect); border-radius: 4px; }
figcaption { margin-top: 4px; color: var(--faint); font-size: 0.875rem; }
@media (max-width: 1000px) { article { grid-template-columns: 1fr; } }
@media (max-width: 640px) {
  .pictures { grid-template-columns: 1fr; }
  .pictures figure[class] { grid-column: auto; --height: 500px; }
}
@media print { .filter { display: none; } article { break-inside: avoid; } }
</style>`);

/** What a page starts with, up to its body. `style` is added to what all pages share. */
export const pageHead = (title: string, style?: Markup): Markup =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${contactSheetStyle}
${style && markup`${style}\n`}</head>`;
