import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outlineMask } from '../explain/lime/views.js';
import type { ExplainedImage } from '../fit/evaluate-explanations.js';
import { anomalyMapName, isDrawn } from '../fit/image-explanations.js';
import type { Bundle } from '../shared/bundle.js';
import { heatOf, overlay } from '../shared/kernels/overlay.js';
import { decodeInput } from '../shared/model-input.js';
import { heatPanelsPng } from '../shared/plots/heat-panels.js';
import type { Explanations } from './evaluate-explanations.js';
import { faithfulnessFiguresChart, localisationChart } from './explanations-charts.js';
import type { ExplanationsSection } from './explanations-page.js';

/** Writes the charts, by `writeChart`, and pictures of some images under every method. */
export async function writeExplanations(
  { report, shown }: Explanations,
  bundle: Bundle,
  directory: string,
  writeChart: (chart: ReturnType<typeof faithfulnessFiguresChart>, name: string) => Promise<void>,
): Promise<ExplanationsSection> {
  const drawn = { faithfulness: faithfulnessFiguresChart(report), localisation: localisationChart(report) };
  const charts: ExplanationsSection['charts'] = [];
  for (const [name, chart] of Object.entries(drawn)) {
    if (!chart) continue;
    await writeChart(chart, name);
    charts.push({ name, text: chart.title });
  }
  const pictures: ExplanationsSection['pictures'] = [];
  for (const [index, image] of shown.entries()) {
    const name = `explanations-${index + 1}.png`;
    await writeFile(join(directory, 'pictures', name), await drawPanels(image, bundle));
    pictures.push({ name, text: `${image.judged.image.name} as each method explains it` });
  }
  return { report, charts, pictures };
}

async function drawPanels({ judged, explanations }: ExplainedImage, bundle: Bundle): Promise<Uint8Array> {
  const { image, mask } = judged;
  const { input, mapQuantile } = bundle;
  const bytes = await readFile(image.path);
  const { pixels } = await decodeInput(bytes, input, { maxImageBytes: bytes.length });
  const methods = Object.entries(explanations.methods).filter(([name]) => !isDrawn(name));
  const part = mask
    ? { title: 'The part, its defect outlined', pixels: outlineMask(pixels, mask, input.height, input.width) }
    : { title: 'The part', pixels };
  return await heatPanelsPng({
    title: image.name.replace(/^test\//, ''),
    subtitle: `${bundle.product} ${bundle.version}, probability of a defect ${explanations.probability.toFixed(2)}`,
    panels: [
      part,
      ...methods.map(([name, { map }]) => ({
        title: name,
        pixels: overlay(pixels, name === anomalyMapName ? heatOf(map, mapQuantile) : map),
      })),
    ],
    size: input,
    scale: { low: 'not named', high: 'named most' },
  });
}
