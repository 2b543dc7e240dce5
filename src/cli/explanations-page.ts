import { figureNames, isHigherBetter } from '../fit/explanation-figures.js';
import { isDrawn } from '../fit/image-explanations.js';
import { type Markup, markup } from '../shared/markup.js';
import { type ExplanationsReport, figureText, figureTitles, remarksOn } from './evaluate-explanations.js';

/** Of the page of an evaluation, with the names of its charts and pictures. */
export interface ExplanationsSection {
  report: ExplanationsReport;
  charts: { name: string; text: string }[];
  pictures: { name: string; text: string }[];
}

/** The figures of each method side by side, charts, and some images as each method explains them. */
export function drawExplanations({ report, charts, pictures }: ExplanationsSection): Markup {
  const { methods } = report;
  const shown = figureNames.filter((figure) => Object.values(methods).some((method) => method[figure]));
  return markup`<h2 class="section">Explanations of defects</h2>
<div class="sheet scroll"><table>
<thead>
<tr><th></th>${shown.map((figure) => markup`<th>${figureTitles[figure]}</th>`)}</tr>
<tr><th>better</th>${shown.map((figure) => markup`<th>${isHigherBetter[figure] ? 'higher' : 'lower'}</th>`)}</tr>
</thead>
<tbody>
${Object.entries(methods).map(
  ([name, summary]) =>
    markup`<tr><th scope="row">${name}${isDrawn(name) && markup` <small class="faint">drawn by lot</small>`}</th>${shown.map((figure) => markup`<td>${figureText(figure, summary[figure], name)}</td>`)}</tr>\n`,
)}</tbody>
</table>
${remarksOn(report).map((text) => markup`<p class="note faint">${text}.</p>\n`)}</div>
<div class="columns">
${charts.map(({ name, text }) => markup`<p class="chart"><a href="${name}.png"><img src="${name}.svg" alt="${text}"></a></p>\n`)}</div>
${pictures.map(({ name, text }) => markup`<p class="sheet"><img class="panels" src="pictures/${name}" alt="${text}"></p>\n`)}`;
}
