import { type Evaluation, type Interval, isGood } from '../fit/evaluate.js';
import type { JudgedImage } from '../fit/evaluate-images.js';
import { type Markup, markup } from '../shared/markup.js';
import { drawFigure } from './contact-sheet.js';
import { pageHead } from './contact-sheet-style.js';
import { drawExplanations, type ExplanationsSection } from './explanations-page.js';
import { reportStyle } from './report-style.js';

/** An image on the page and its files in pictures/. */
export interface Exhibit {
  judged: JudgedImage;
  files: { part: string; overlay: string; marked?: string };
  /** Width over height of the part. */
  aspect: number;
}

export interface Section {
  title: string;
  exhibits: Exhibit[];
}

/**
 * The page of an evaluation: figures, charts, and images that went wrong or very well. It lies beside roc.svg, scores.svg and
 * pictures/, opens from disk, runs no script and loads nothing else.
 */
export function reportPage(
  evaluation: Evaluation,
  sections: readonly Section[],
  { hasRoc, explained }: { hasRoc: boolean; explained?: ExplanationsSection | undefined },
): string {
  const { product, bundle, images, threshold, warnings } = evaluation;
  const title = `Evaluation of ${product} ${bundle}`;
  return markup`${pageHead(title, reportStyle)}
<body>
<header>
<h1>${title}</h1>
<p class="faint">${images} labelled images. An image is flagged from a score of ${threshold.toFixed(3)} on, the bundle's own threshold.</p>
${warnings.map(({ code, message }) => markup`<p class="remark"><b>Warning.</b> ${message} (${code})</p>`)}
</header>
<main>
<div class="columns">
${drawConfusion(evaluation)}
${drawFigures(evaluation)}
</div>
<h2 class="section">Kinds of defect</h2>
${drawKinds(evaluation)}
<h2 class="section">Charts</h2>
<div class="columns">
${drawChart('scores', 'Scores of good and of defective images')}
${hasRoc && drawChart('roc', 'Defects found against false alarms')}
</div>
${explained && drawExplanations(explained)}
${sections.map((section) => drawSection(section, threshold))}
<p class="faint"><a href="report.json">report.json</a> holds all figures and the score of every image. ${evaluation.imagesPerSecond.toFixed(1)} images were scored a second.</p>
</main>
</body>
</html>
`.markup;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const area = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(4));

/** A rate with its 95 % interval. */
function rateCell(rate: number | null, interval: Interval | null): Markup {
  if (rate === null || interval === null) return markup`<td>unknown</td>`;
  return markup`<td>${percent(rate)} <small>${percent(interval[0])} to ${percent(interval[1])}</small></td>`;
}

function drawConfusion(evaluation: Evaluation): Markup {
  const { confusion, falseAlarmRate, falseAlarmInterval, missRate, missInterval } = evaluation;
  const { goodPassed, falseAlarms, defectsFound, misses } = confusion;
  return markup`<div class="sheet scroll"><table>
<caption>At the bundle's threshold</caption>
<thead><tr><th></th><th>passed</th><th>flagged</th><th>judged wrongly (95 % interval)</th></tr></thead>
<tbody>
<tr><th scope="row">good images</th><td>${goodPassed}</td><td>${falseAlarms}</td>${rateCell(falseAlarmRate, falseAlarmInterval)}</tr>
<tr><th scope="row">defective images</th><td>${misses}</td><td>${defectsFound}</td>${rateCell(missRate, missInterval)}</tr>
</tbody>
</table></div>`;
}

function drawFigures({ imageAuroc, pixelAuroc, aupro, f1Max, classifierAuroc, riskAuroc }: Evaluation): Markup {
  const rows: [string, number | null][] = [
    ['Image AUROC', imageAuroc],
    ['Pixel AUROC', pixelAuroc],
    ['AUPRO, up to 30 % false positives', aupro],
    ['Largest F1 in hindsight', f1Max],
    ['AUROC of the classifier', classifierAuroc],
    ['AUROC of the risk', riskAuroc],
  ];
  return markup`<div class="sheet scroll"><table>
<caption>At any threshold (1 is perfect, chance gives an AUROC of 0.5)</caption>
<tbody>
${rows.map(([name, value]) => markup`<tr><th scope="row">${name}</th><td>${area(value)}</td></tr>\n`)}</tbody>
</table></div>`;
}

function drawKinds({ perDefect }: Evaluation): Markup {
  const rows = Object.entries(perDefect);
  if (rows.length === 0) return markup`<p class="sheet">There were no defective images.</p>`;
  return markup`<div class="sheet scroll"><table>
<thead><tr><th>defect</th><th>images</th><th>missed</th><th>miss rate (95 % interval)</th><th>image AUROC</th><th>pixel AUROC</th></tr></thead>
<tbody>
${rows.map(
  ([defect, { images, misses, missRate, missInterval, imageAuroc, pixelAuroc }]) =>
    markup`<tr><th scope="row">${defect}</th><td>${images}</td><td>${misses}</td>${rateCell(missRate, missInterval)}<td>${area(imageAuroc)}</td><td>${area(pixelAuroc)}</td></tr>\n`,
)}</tbody>
</table></div>`;
}

const drawChart = (name: string, text: string): Markup =>
  markup`<p class="chart"><a href="${name}.png"><img src="${name}.svg" alt="${text}"></a></p>`;

const drawSection = (
  { title, exhibits }: Section,
  threshold: number,
): Markup => markup`<h2 class="section">${title}</h2>
${exhibits.length > 0 ? exhibits.map((exhibit) => drawExhibit(exhibit, threshold)) : markup`<p class="sheet">None.</p>`}`;

function drawExhibit({ judged, files, aspect }: Exhibit, threshold: number): Markup {
  const { image, score, severity, isFlagged } = judged;
  const judgement = isGood(judged) ? '\u2715 False alarm' : isFlagged ? '\u2713 Found' : '\u2715 Missed';
  const part = (name: string, caption: string) => drawFigure('pictures', { name, caption, kind: 'part' }, aspect);
  return markup`<article class="${isFlagged ? 'anomalous' : 'good'}">
<div class="facts">
<p class="verdict">${judgement}</p>
<h2>${image.name.replace(/^test\//, '')}</h2>
<dl>
<dt>Score</dt><dd>${score.toFixed(3)}, threshold ${threshold.toFixed(3)}</dd>
<dt>Severity</dt><dd>${severity.toFixed(0)}</dd>
</dl>
</div>
<div class="pictures">${part(files.part, 'The part')}${part(files.overlay, 'Where it differs from good parts (red: most)')}${
    files.marked !== undefined && part(files.marked, 'Where its defect is')
  }</div>
</article>
`;
}
