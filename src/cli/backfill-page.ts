import type { WorstImage } from '../producer/ingest-tally.js';
import { errorCodes } from '../shared/errors.js';
import { type Markup, markup, verbatim } from '../shared/markup.js';
import type { BackfillReport } from './backfill-report.js';
import { pageHead } from './contact-sheet-style.js';
import { durationText } from './rate-progress.js';
import { reportStyle } from './report-style.js';

/** One of the worst images and its files in pictures/, where there are any. */
export interface Exhibit {
  worst: WorstImage;
  part: string | undefined;
  overlay: string | undefined;
}

const style = verbatim(`<style>
.wide img { display: block; width: 100%; height: auto; }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 16px; }
.worst .sheet { margin: 0; overflow-wrap: anywhere; }
.worst .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.worst img { display: block; width: 100%; height: auto; border-radius: 4px; }
.message { white-space: normal; text-align: left; font-weight: 400; overflow-wrap: anywhere; }
</style>`);

/**
 * The page of a backfill: counts, a chart by day, the worst images and what went wrong. It lies beside report.json, days.svg and
 * pictures/, opens from disk, runs no script and loads nothing else.
 */
export function backfillPage(
  report: BackfillReport,
  exhibits: readonly Exhibit[],
  { hasDays }: { hasDays: boolean },
): string {
  const { source, camera, product, images, imagesPerSecond, seconds, resumed, startedAt, finishedAt } = report;
  const title = `Backfill of camera ${camera}`;
  return markup`${pageHead(title, markup`${reportStyle}\n${style}`)}
<body>
<header>
<h1>${title}</h1>
<p class="faint">${source}, product ${product}. ${images} images from ${shortTime(startedAt)} to ${shortTime(finishedAt)} UTC: ${durationText(seconds)} at work, ${imagesPerSecond.toFixed(1)} images/s${resumedText(resumed)}.</p>
</header>
<main>
<div class="sheet scroll">${drawCounts(report)}</div>
${hasDays && markup`<p class="sheet wide"><img src="days.svg" alt="Images by date of capture"></p>`}
<h2 class="section">Worst images</h2>
${exhibits.length > 0 ? markup`<div class="worst">${exhibits.map(drawExhibit)}</div>` : markup`<p class="sheet">No image was anomalous.</p>`}
<h2 class="section">What went wrong</h2>
${drawFaults(report)}
<p class="faint"><a href="report.json">report.json</a> holds all figures. Severity 100 is the threshold from which a part counts as anomalous.</p>
</main>
</body>
</html>
`.markup;
}

/** Appended to how long it took. */
export const resumedText = (times: number): string =>
  times === 0 ? '' : `, resumed ${times === 1 ? 'once' : `${times} times`}`;

const shortTime = (instant: string): string => instant.slice(0, 16).replace('T', ' ');
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

function drawCounts({ images, good, anomalous, failed, incomplete, finished, refused }: BackfillReport): Markup {
  const rows: [string, number][] = [
    ['good', good],
    ['anomalous', anomalous],
    ['failed', failed],
    ['had a result from before', finished],
    ['refused', refused],
  ];
  return markup`<table>
<thead><tr><th>images</th><th>${images}</th><th></th></tr></thead>
<tbody>
${rows.map(([name, count]) => markup`<tr><th scope="row">${name}</th><td>${count}</td><td><small>${images > 0 && percent(count / images)}</small></td></tr>\n`)}</tbody>
</table>
${incomplete > 0 && markup`<p class="remark">An explanation is missing in ${incomplete} of the results.</p>`}`;
}

function drawExhibit({ worst, part, overlay }: Exhibit): Markup {
  const { imageKey, capturedAt, severity, inspectionId } = worst;
  const picture = (name: string | undefined, alt: string) =>
    name !== undefined &&
    markup`<a href="pictures/${name}"><img src="pictures/${name}" alt="${alt}" loading="lazy"></a>`;
  return markup`<div class="sheet">
<div class="pair">${picture(part, 'The part')}${picture(overlay, 'Where it differs from good parts')}</div>
<p><b>Severity ${severity.toFixed(0)}</b></p>
<p class="faint">${shortTime(capturedAt)} UTC<br>${imageKey}<br>${inspectionId}</p>
</div>
`;
}

function drawFaults({ faults }: BackfillReport): Markup {
  const rows = Object.entries(faults).sort(([, a], [, b]) => b.images - a.images);
  if (rows.length === 0) return markup`<p class="sheet">Nothing.</p>`;
  return markup`<div class="sheet scroll"><table>
<thead><tr><th>code</th><th>images</th><th>meaning</th></tr></thead>
<tbody>
${rows.map(
  ([code, { images, example }]) =>
    markup`<tr><th scope="row">${code}</th><td>${images}</td><td class="message">${(errorCodes as Record<string, string>)[code] ?? code}.<br><small>${example.image}: ${example.message}</small></td></tr>\n`,
)}</tbody>
</table></div>`;
}
