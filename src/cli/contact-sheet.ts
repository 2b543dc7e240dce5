import { processPictureName } from '../explain/pictures.js';
import type { ExplanationName, FailedResult, InspectionResult, ScoredResult, Similar } from '../shared/contracts.js';
import { errorCodes } from '../shared/errors.js';
import type { ImageSize } from '../shared/image.js';
import { type Markup, markup } from '../shared/markup.js';
import { patchPairSize } from '../shared/plots/patch-pair.js';
import { formatNumber, processBars, processWaterfallSize, quantityOf } from '../shared/plots/process-waterfall.js';
import { waterfallBars, waterfallSize } from '../shared/plots/waterfall.js';
import type { Bar } from '../shared/plots/waterfall-drawing.js';
import type { Review } from '../shared/reviews.js';
import { pageHead } from './contact-sheet-style.js';

/** An inspection and the names of the files in its folder. */
export interface Card {
  result: InspectionResult;
  review?: Review | undefined;
  /** From the page to its files, such as its id. */
  folder: string;
  files: readonly string[];
  /** Width over height of the part, in which its overlays are shown too: they are as the network saw it, perhaps distorted. */
  aspect: number;
}

type Group = 'anomalous' | 'failed' | 'good';
const groupOf = (result: InspectionResult): Group => (result.status === 'failed' ? 'failed' : result.verdict);

/** In the order in which they stand on the page. */
const groups: Record<Group, string> = {
  anomalous: '\u25b2 Anomalous',
  failed: '\u2715 Failed',
  good: '\u2713 Good',
};
const groupNames = Object.keys(groups) as Group[];

const severityOf = (result: InspectionResult): number => (result.status === 'failed' ? 0 : result.severity);

/** Anomalous parts by severity, then what could not be inspected, then good parts by severity. */
export const worstFirst = (cards: readonly Card[]): Card[] =>
  cards.toSorted(
    ({ result: a }, { result: b }) =>
      groupNames.indexOf(groupOf(a)) - groupNames.indexOf(groupOf(b)) || severityOf(b) - severityOf(a),
  );

/**
 * A page that shows inspections, worst first. It lies over their folders and opens from disk: it needs no server, runs no
 * script and loads nothing but their pictures.
 */
export function contactSheet(cards: readonly Card[]): string {
  const count = (group: Group) => cards.filter(({ result }) => groupOf(result) === group).length;
  const products = [...new Set(cards.map(({ result }) => result.product))].sort().join(', ');
  const title = `Inspections of ${products || 'no parts'}`;
  const choices: [string, string, number][] = [
    ['all', 'All', cards.length],
    ...groupNames.map((group): [string, string, number] => [group, groups[group], count(group)]),
  ];
  const names = new Map(cards.map(({ result }) => [result.inspectionId, fileNameOf(result.imageKey)]));
  return markup`${pageHead(title)}
<body>
${choices.map(([name, text], i) => markup`<input type="radio" name="show" id="show-${name}" aria-label="Show: ${text}" ${i === 0 ? 'checked' : ''}>`)}
<header>
<h1>${title}</h1>
<p class="faint">Worst first. Severity 100 is the threshold from which a part counts as anomalous.</p>
<div class="filter">${choices.map(([name, text, number]) => markup`<label for="show-${name}">${text} <b>${number}</b></label>`)}</div>
</header>
<main>
${worstFirst(cards).map((card) => drawCard(card, names))}
</main>
</body>
</html>
`.markup;
}

/** @param names of the parts on the page, by inspection */
function drawCard({ result, review, folder, files, aspect }: Card, names: ReadonlyMap<string, string>): Markup {
  const group = groupOf(result);
  const { inspectionId, imageKey, capturedAt, camera, bundle } = result;
  const similar = result.status === 'failed' ? [] : (result.similar ?? []);
  const taken = `${capturedAt.slice(0, 19).replace('T', ' ')} UTC`;
  return markup`<article class="${group}" id="${inspectionId}">
<div class="facts">
<p class="verdict">${groups[group]}</p>
<h2>${fileNameOf(imageKey)}</h2>
<p class="faint">${taken}${camera === null ? '' : `, camera ${camera}`}, bundle ${bundle}</p>
${result.status === 'failed' ? drawFailure(result) : drawFindings(result, files)}
${review && drawReview(review)}${similar.length > 0 && drawSimilar(similar.slice(0, shownSimilar), names)}<p class="faint"><a href="${folder}/result.json">result.json</a></p>
</div>
<div class="pictures">${captionsOf(result).map((caption) => files.includes(caption.name) && drawFigure(folder, caption, aspect))}</div>
</article>
`;
}

/** Without folders and the hash that stored originals begin with. */
const fileNameOf = (imageKey: string): string => imageKey.replace(/^.*\//, '').replace(/^[0-9a-f]{16}-/, '');

const drawRemark = (lead: string, detail = ''): Markup => markup`<p class="remark"><b>${lead}</b> ${detail}</p>
`;

/** What a code means, and the message that says what it was this time. */
function drawFailure({ error }: FailedResult): Markup {
  const meaning = (errorCodes as Record<string, string>)[error.code] ?? error.code;
  return drawRemark(`No verdict. ${meaning}.`, `${error.message} (${error.code})`);
}

function drawReview({ verdict, defectType, by, at, note = '' }: Review): Markup {
  const found = defectType === undefined ? verdict : `${verdict} (${defectType})`;
  return drawRemark(`Reviewed ${found} by ${by}, ${at.slice(0, 10)}.`, note);
}

const shownSimilar = 3;

/** Parts on the same page are linked by their name. */
const drawSimilar = (similar: readonly Similar[], names: ReadonlyMap<string, string>): Markup =>
  markup`<p class="remark"><b>Most like</b> ${similar.map(({ inspectionId, verdict, review }, i) => {
    const name = names.get(inspectionId);
    const shown = name === undefined ? markup`${inspectionId}` : markup`<a href="#${inspectionId}">${name}</a>`;
    return markup`${i > 0 && ', '}${shown} (${review === null ? verdict : `reviewed ${review}`})`;
  })}</p>
`;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function drawFindings(result: ScoredResult, files: readonly string[]): Markup {
  const { severity, anomalyScore, threshold, risk, classifier, attribution, warnings, explanations = {} } = result;
  const missing = Object.entries(explanations).filter(([, { status }]) => status !== 'done');
  return markup`<dl>
<dt>Severity</dt><dd>${severity.toFixed(0)}</dd>
${risk && markup`<dt>Risk of a defect</dt><dd>${percent(risk.probability)}</dd>`}
${classifier && markup`<dt>Classifier</dt><dd>${percent(classifier.probability)} defect</dd>`}
<dt>Score</dt><dd>${anomalyScore.toFixed(2)}, threshold ${threshold.toFixed(2)}</dd>
${attribution && markup`<dt>${quantityOf(attribution)}</dt><dd>${formatNumber(attribution.value)}</dd>`}
</dl>
${risk && !files.includes('waterfall.svg') && drawEffects(waterfallBars(risk))}
${attribution && !files.includes(processPictureName) && drawEffects(processBars(attribution))}
${risk && !risk.agreesWithVerdict && drawRemark('Look twice.', 'The risk of a defect and the verdict disagree.')}
${classifier?.weak && drawRemark('Weak classifier.', 'It did not tell good and defective parts apart well: take its map with care.')}
${missing.map(([stage, { code, message }]) => drawRemark(`${explanationWords[stage as ExplanationName]} missing.`, `${message} (${code})`))}
${warnings.map(({ code, message }) => drawRemark('Warning.', `${message} (${code})`))}`;
}

const explanationWords: Record<ExplanationName, string> = {
  gradcam: 'Classifier map',
  features: 'Features',
  shap: 'Risk of a defect',
  process: 'Attribution of process data',
};

/** The features and how much each adds. */
const drawEffects = (bars: Bar[]): Markup =>
  markup`<ul>${bars
    .filter(({ isTotal }) => !isTotal)
    .map(({ label, amount }) => markup`<li><span>${label}</span> <b>${amount}</b></li>`)}</ul>`;

export interface Caption {
  name: string;
  caption: string;
  kind: 'part' | 'pair' | 'chart';
  /** Where it has not the form of the part. */
  size?: ImageSize;
}

/** In the order in which they answer: what is it, where, which features, beside what, why. */
const captions: Caption[] = [
  { name: 'image.jpg', caption: 'The part', kind: 'part' },
  { name: 'overlay.png', caption: 'Where it differs from good parts (red: most)', kind: 'part' },
  { name: 'gradcam-overlay.png', caption: 'Where the classifier looks for a defect (red: most)', kind: 'part' },
  { name: 'patch-pair.png', caption: 'Its most suspicious place beside a good one', kind: 'pair', size: patchPairSize },
  { name: 'waterfall.svg', caption: 'Why this risk', kind: 'chart', size: waterfallSize },
];

const captionsOf = (result: InspectionResult): Caption[] =>
  result.status !== 'failed' && result.attribution
    ? [...captions, processCaption(processWaterfallSize(result.attribution))]
    : captions;

const processCaption = (size: ImageSize): Caption => ({
  ...{ name: processPictureName, caption: 'What process data say', kind: 'chart', size },
});

export function drawFigure(folder: string, { name, caption, kind, size }: Caption, aspectOfPart: number): Markup {
  const aspect = size ? size.width / size.height : aspectOfPart;
  const path = `${folder}/${name}`;
  return markup`
<figure class="${kind}" style="--aspect: ${aspect.toFixed(4)}"><a href="${path}"><img src="${path}" alt="${caption}" loading="lazy"></a><figcaption>${caption}</figcaption></figure>`;
}
