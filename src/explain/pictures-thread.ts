import { inThread } from '../shared/compute.js';
import type { ScoredResult } from '../shared/contracts.js';
import { drawFrom, type PictureSources, type Pictures } from './pictures.js';

export interface PicturesInput {
  result: ScoredResult;
  sources: PictureSources;
}

export default inThread<PicturesInput, Pictures>(({ result, sources }) => drawFrom(result, sources));
