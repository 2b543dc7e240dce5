import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hideRest, outlineMask, positiveMask } from '../explain/lime/views.js';
import { picturesOf } from '../explain/picture.js';
import { axesOf, sampleOf } from '../explain/question.js';
import { encodePng } from '../shared/image.js';
import { overlay } from '../shared/kernels/overlay.js';
import { writeNpy } from '../shared/npy.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import type { Explained } from './explain-result.js';

/**
 * What lies beside explanation.npy in a directory: overlay.png and, of LIME, segments.npy, positive.png (the segments that
 * speak for the class, outlined) and hide-rest.png (nothing but these); with --check, faithfulness.png. One of each for every
 * class and sample; no views of the image where the input is not of one or three channels.
 *
 * @returns the paths
 */
export async function writePictures(out: string, shown: readonly FloatTensor[], explained: Explained) {
  const { question, name: method, faithfulness } = explained;
  const { lime } = explained.explanation;
  const { N, C, H, W } = axesOf(question);
  const files: string[] = [];
  const write = async (name: string, bytes: Uint8Array) => {
    const file = join(out, name);
    await writeFile(file, bytes);
    files.push(file);
  };
  const writePicture = async (name: string, drawn: Uint8Array) =>
    await write(name, await encodePng(drawn, { height: H, width: W, channels: 3 }));

  if (lime) await write('segments.npy', segmentsNpy(lime.segmentations, [N, H, W]));
  if (faithfulness) {
    const { faithfulnessPng } = await import('./faithfulness-chart.js'); // charts take longer to load than most commands to run
    for (const [t, samples] of faithfulness.entries()) {
      for (const [n, measured] of samples.entries()) {
        const png = await faithfulnessPng(method, question.targets[t]![n]!, measured);
        await write(`faithfulness${placeIn(explained, t, n)}.png`, png);
      }
    }
  }
  if (C !== 1 && C !== 3) return files;
  const pictures = picturesOf(question);
  for (const [t, { data }] of shown.entries()) {
    for (let n = 0; n < N; n++) {
      const pixels = pictures[n]!;
      const place = placeIn(explained, t, n);
      await writePicture(`overlay${place}.png`, overlay(pixels, sampleOf(data, n, N)));
      if (!lime) continue;
      const mask = positiveMask(lime.models[t]![n]!.coefficients, lime.segmentations[n]!.labels, lime.shown);
      await writePicture(`positive${place}.png`, outlineMask(pixels, mask, H, W));
      await writePicture(`hide-rest${place}.png`, outlineMask(hideRest(pixels, mask), mask, H, W));
    }
  }
  return files;
}

/** What the names of files end in: nothing where there is one class and one sample only. */
function placeIn({ question: { targets } }: Explained, t: number, n: number): string {
  const isOnly = targets.length === 1 && targets[0]!.length === 1;
  return isOnly ? '' : `-sample-${n}-class-${targets[t]![n]}`;
}

function segmentsNpy(segmentations: readonly { labels: Int32Array }[], shape: number[]): Uint8Array {
  const data = Int32Array.from(segmentations.flatMap(({ labels }) => [...labels]));
  return writeNpy({ dtype: 'int32', shape, data });
}
