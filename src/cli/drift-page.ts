import { type DriftDay, driftMeasures, fewestImages, indexLimits } from '../history/drift.js';
import { type Markup, markup, verbatim } from '../shared/markup.js';
import { pageHead } from './contact-sheet-style.js';
import { type DriftReport, measureLabel, remarksOn } from './drift-lines.js';
import { reportStyle } from './report-style.js';

/** The days of a camera, and the names of its charts without their suffix. */
export interface CameraSection {
  camera: string;
  days: readonly DriftDay[];
  charts: { name: string; text: string }[];
}

const style = verbatim(`<style>
.wide img { display: block; width: 100%; height: auto; }
.indices thead th { white-space: normal; vertical-align: bottom; min-width: 72px; }
.indices .alarm { color: var(--anomalous); }
.indices .stable { font-weight: 400; }
</style>`);

/**
 * The page of `history drift`: for each camera two charts and a table of all indices. It lies beside report.json and the charts,
 * opens from disk, runs no script and loads nothing else.
 */
export function driftPage(report: DriftReport, sections: readonly CameraSection[]): string {
  const { product, references, days, alarms } = report;
  const title = `Drift of ${product}`;
  const against = references.map(({ bundle, images }) => `${images} of ${bundle}`).join(', ');
  return markup`${pageHead(title, markup`${reportStyle}\n${style}`)}
<body>
<header>
<h1>${title}</h1>
<p class="faint">Images of each day and camera against the held-out good images of the bundle that judged them${against !== '' && ` (${against})`}. ${alarms} ${alarms === 1 ? 'alarm' : 'alarms'}.</p>
${remarksOn(days).map((remark) => markup`<p class="remark">${remark}.</p>`)}
</header>
<main>
${sections.length > 0 ? sections.map(drawSection) : markup`<p class="sheet">There were no inspections.</p>`}
<p class="faint"><a href="report.json">report.json</a> holds all figures. The population stability index is 0 where two distributions are alike; above ${indexLimits.moving} a day counts as moving, above ${indexLimits.alarm} as an alarm, where chance does not explain it and there are ${fewestImages} images or more; severity and patch distances only where they lie higher than those of held-out images.</p>
</main>
</body>
</html>
`.markup;
}

const drawSection = ({
  camera,
  days,
  charts,
}: CameraSection): Markup => markup`<h2 class="section">Camera ${camera}</h2>
${charts.map(({ name, text }) => markup`<p class="sheet wide"><a href="${name}.png"><img src="${name}.svg" alt="${text}"></a></p>\n`)}
<div class="sheet scroll indices"><table>
<caption>Population stability indices</caption>
<thead><tr><th>date</th><th>bundle</th><th>images</th><th>anomalous</th>${driftMeasures.map((measure) => markup`<th>${measureLabel(measure)}</th>`)}<th></th></tr></thead>
<tbody>
${days.map(drawDay)}</tbody>
</table></div>
`;

function drawDay({ date, bundle, images, anomalous, measures, level }: DriftDay): Markup {
  const cells = driftMeasures.map((name) => {
    const drift = measures.find(({ measure }) => measure === name);
    if (!drift || drift.level === 'too few') return markup`<td>\u2013</td>`;
    return markup`<td class="${drift.level}">${drift.index.toFixed(2)}</td>`;
  });
  return markup`<tr><th scope="row">${date}</th><td>${bundle}</td><td>${images}</td><td>${anomalous}</td>${cells}<td class="${level === 'too few' ? 'stable' : level}">${level}</td></tr>\n`;
}
