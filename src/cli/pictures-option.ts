import { Option } from 'commander';
import { type Config, picturesSchema } from '../shared/config.js';
import { PatchlineError } from '../shared/errors.js';

export interface PicturesOptions {
  out?: string;
  pictures?: Config['pictures'];
}

/** `--pictures`, for commands with `--out`. */
export const picturesOption = (): Option =>
  new Option('--pictures <which>', 'with --out: what to draw (default: as configured, else overlay)').choices(
    picturesSchema.options,
  );

/** @throws ARGUMENT_INVALID for pictures that have no place to go. */
export function assertPlaceForPictures({ out, pictures }: PicturesOptions): void {
  if (pictures === undefined || out !== undefined) return;
  throw new PatchlineError('ARGUMENT_INVALID', 'Expected --out beside --pictures: pictures are written there');
}
