import { markup, verbatim } from '../shared/markup.js';
import type { Chart } from '../shared/plots/chart.js';
import { countText, numberText } from '../shared/plots/number-text.js';
import type { ShapTable } from '../shared/plots/shap-table.js';
import { pageHead } from './contact-sheet-style.js';

const style = verbatim(`<style>
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 620px), 1fr)); gap: 16px; align-items: start; }
.charts p { padding: 16px; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.charts img { display: block; width: 100%; max-width: 760px; height: auto; margin: 0 auto; }
</style>`);

/** A chart, and the name of its files. */
export interface Picture {
  name: string;
  chart: Chart;
}

/** A page that shows the pictures beside it, on light or on dark ground as its reader prefers; it runs no script. */
export function attributionPage(
  { what, expected, predictions, names }: ShapTable,
  pictures: readonly Picture[],
): string {
  const title = 'What moves the prediction';
  return markup`${pageHead(title, style)}
<body>
<header>
<h1>${title}</h1>
<p class="faint">SHAP values of ${names.length} features for ${countText(predictions.length)} rows · ${what}. The expected value is ${numberText(expected)}; with it, the SHAP values of a row add up to its prediction.</p>
</header>
<main class="charts">
${pictures.map(({ name, chart }) => markup`<p><a href="${name}.png"><img src="${name}.svg" alt="${chart.title}"></a></p>\n`)}</main>
</body>
</html>
`.markup;
}
