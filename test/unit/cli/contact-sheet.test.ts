import { expect, test } from 'vitest';
import { type Card, contactSheet } from '../../../src/cli/contact-sheet.js';
import { pictureNames } from '../../../src/explain/pictures.js';
import type { ScoredResult } from '../../../src/shared/contracts.js';
import { shrinkage } from '../../helpers/process-attributions.js';
import { highRisk } from '../../helpers/risks.js';
import { failedResult, scoredResult } from '../../helpers/scored-result.js';

const idOf = (number: number) => `i-20260131-${String(number).padStart(24, '0')}`;
const cardOf = (changes: Partial<ScoredResult>, files: string[] = []): Card => ({
  result: { ...scoredResult, ...changes },
  folder: changes.inspectionId ?? scoredResult.inspectionId,
  files: ['result.json', ...files],
  aspect: 1.5,
});
const good = (severity: number): Partial<ScoredResult> => ({ verdict: 'good', severity });
const failed: Card = { result: failedResult, folder: failedResult.inspectionId, files: ['result.json'], aspect: 1 };

const articlesOf = (page: string) => page.match(/<article[\s\S]*?<\/article>/g) ?? [];
const textOf = (markup: string) => markup.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

test('anomalous parts come first, the worst before others, then what failed, then good parts', () => {
  const cards = [
    cardOf({ ...good(20), inspectionId: idOf(1) }),
    cardOf({ severity: 130, inspectionId: idOf(2) }),
    failed,
    cardOf({ ...good(90), inspectionId: idOf(3) }),
    cardOf({ severity: 400, inspectionId: idOf(4) }),
  ];
  const page = contactSheet(cards);
  const ids = articlesOf(page).map((article) => /href="([^"]*)\/result\.json"/.exec(article)![1]);
  expect(ids).toEqual([idOf(4), idOf(2), failedResult.inspectionId, idOf(3), idOf(1)]);
  const classes = articlesOf(page).map((article) => /class="(\w+)"/.exec(article)![1]);
  expect(classes).toEqual(['anomalous', 'anomalous', 'failed', 'good', 'good']);
  expect(textOf(page.match(/<div class="filter">.*<\/div>/)![0])).toBe(
    ' All 5 \u25b2 Anomalous 2 \u2715 Failed 1 \u2713 Good 2 ',
  );
});

test('a card tells verdict, severity, risk, features and what is amiss in words', () => {
  const [article] = articlesOf(
    contactSheet([
      cardOf({
        risk: { ...highRisk, agreesWithVerdict: false },
        classifier: { label: 'defect', probability: 0.97, weak: true },
        warnings: [{ code: 'FORMAT_MISMATCH', message: 'The image is a webp file' }],
        status: 'incomplete',
        explanations: { gradcam: { status: 'failed', code: 'WORK_GONE', message: 'It was swept' } },
      }),
    ]),
  );
  const text = textOf(article!);
  for (const words of [
    '\u25b2 Anomalous part.png 2026-01-31 08:00:00 UTC, camera line-1, bundle v1',
    'Severity 275',
    'Risk of a defect 93.1 %',
    'Classifier 97.0 % defect',
    'Score 5.10, threshold 2.60',
    'largest patch distance: 5.1, usual 1.9 +49.0',
    'The risk of a defect and the verdict disagree.',
    'Weak classifier.',
    'Classifier map missing. It was swept (WORK_GONE)',
    'The image is a webp file (FORMAT_MISMATCH)',
  ]) {
    expect(text).toContain(words);
  }
  const attributed = textOf(
    articlesOf(
      contactSheet([
        cardOf({
          attribution: shrinkage,
          explanations: { process: { status: 'skipped', code: 'PROCESS_DATA_MISSING', message: 'It came without' } },
        }),
      ]),
    )[0]!,
  );
  expect(attributed).toContain('shrinkage, mm 107.5');
  expect(attributed).toContain('hold pressure &lt;bar&gt;: missing \u22122.50');
  expect(attributed).toContain('Attribution of process data missing. It came without (PROCESS_DATA_MISSING)');
  const [failure] = articlesOf(contactSheet([failed]));
  expect(textOf(failure!)).toContain(
    'No verdict. The bytes are not a whole image that can be decoded. Expected a whole PNG image but it is cut (IMAGE_UNREADABLE)',
  );
});

test('a card shows the pictures that exist, in the form of the part', () => {
  const files = ['image.jpg', 'overlay.png', ...pictureNames];
  const page = contactSheet([cardOf({}, files), cardOf(good(3), ['image.jpg'])]);
  const pictures = articlesOf(page).map((article) =>
    [...article.matchAll(/--aspect: ([\d.]+)"><a href="([^"]*)"><img src="([^"]*)"/g)].map(([, aspect, href, src]) => {
      expect(href).toBe(src);
      return [src!.replace(`${scoredResult.inspectionId}/`, ''), Number(aspect)];
    }),
  );
  expect(pictures).toEqual([
    [
      ['image.jpg', 1.5],
      ['overlay.png', 1.5],
      ['gradcam-overlay.png', 1.5],
      ['patch-pair.png', 1.0602],
      ['waterfall.svg', 2.0225],
    ],
    [['image.jpg', 1.5]],
  ]);
  expect(page.match(/<img /g)).toHaveLength(page.match(/loading="lazy"/g)!.length);
});

test('what results hold never becomes markup, and nothing is loaded from elsewhere', () => {
  const hostile = `"><script src="https://example.org/x.js">alert('1')</script><img src=x onerror=alert(1)>&`;
  const page = contactSheet([
    cardOf(
      {
        imageKey: hostile,
        product: hostile,
        bundle: hostile,
        camera: hostile,
        capturedAt: hostile,
        inspectionId: hostile,
        warnings: [{ code: hostile, message: hostile }],
        explanations: { gradcam: { status: 'failed', code: hostile, message: hostile } },
      },
      ['image.jpg'],
    ),
    { ...failed, result: { ...failedResult, error: { ...failedResult.error, code: hostile, message: hostile } } },
  ]);
  expect(page).toContain('&lt;script');
  const tags = new Set([...page.matchAll(/<(\w+)/g)].map(([, tag]) => tag));
  expect(tags).not.toContain('script');
  expect(page.match(/<img /g)).toHaveLength(1);
  const names = [...page.replace(/"[^"]*"/g, '').matchAll(/<\w+([^>]*)>/g)].flatMap(([, text]) =>
    text!.trim().split(/\s+/),
  );
  expect(names.filter((name) => name.startsWith('on'))).toEqual([]);

  const plain = contactSheet([cardOf({}, ['image.jpg', 'overlay.png', ...pictureNames]), failed]);
  expect(plain).not.toMatch(/https?:|\/\/|url\(|@import|<script|<link/);
  const addresses = [...plain.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, address]) => address!);
  expect(addresses.filter((address) => !/^i-\d{8}-[0-9a-f]{24}\/[a-z-]+\.(json|jpg|png|svg)$/.test(address))).toEqual(
    [],
  );
});

test('a page without inspections says so', () => {
  expect(contactSheet([])).toContain('<h1>Inspections of no parts</h1>');
});

test('the three most similar inspections are named, and linked where they stand on the page', () => {
  const [here, ...elsewhere] = [1, 2, 3, 4].map(idOf);
  const similar = [here!, ...elsewhere].map((inspectionId, i) => ({
    ...{ inspectionId, distance: i, verdict: 'anomalous' as const },
    review: i === 1 ? ('good' as const) : null,
  }));
  const other = cardOf({ inspectionId: here, imageKey: 'images/line-1/2026-01-31/0123456789abcdef-other.jpg' });
  const page = contactSheet([cardOf({ similar }), other]);
  expect(page).toContain(
    `<b>Most like</b> <a href="#${here}">other.jpg</a> (anomalous), ${elsewhere[0]} (reviewed good), ${elsewhere[1]} (anomalous)</p>`,
  );
  expect(page).toContain(`id="${here}"`);
  expect(page).not.toContain(elsewhere[2]);
});
