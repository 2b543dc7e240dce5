/** The kinds of image that patchline reads. */
export type ImageFormat = 'jpeg' | 'png' | 'tiff' | 'webp';

const readable: [ImageFormat, number, string][] = [
  ['jpeg', 0, '\xff\xd8\xff'],
  ['png', 0, '\x89PNG\r\n\x1a\n'],
  ['tiff', 0, 'II*\0'],
  ['tiff', 0, 'MM\0*'],
  ['tiff', 0, 'II+\0'], // BigTIFF
  ['tiff', 0, 'MM\0+'],
  ['webp', 8, 'WEBP'],
];

/**
 * Images that are recognised only to say so. sharp could read GIF, SVG and AVIF, but no inspection camera writes them: they
 * are drawings or previews, and a verdict on one would be about something else than the part.
 */
const known: [string, number, string][] = [
  ['BMP', 0, 'BM'],
  ['GIF', 0, 'GIF8'],
  ['JPEG 2000', 4, 'jP  \r\n\x87\n'],
  ['JPEG 2000', 0, '\xff\x4f\xff\x51'],
  ['JPEG XL', 4, 'JXL \r\n\x87\n'],
  ['JPEG XL', 0, '\xff\x0a'],
  ['JPEG XR', 0, 'II\xbc'],
  ['HEIC', 4, 'ftyphe'],
  ['HEIC', 4, 'ftypmif1'],
  ['HEIC', 4, 'ftypmsf1'],
  ['AVIF', 4, 'ftypavi'],
  ['PDF', 0, '%PDF-'],
  ['Photoshop', 0, '8BPS'],
  ['OpenEXR', 0, '\x76\x2f\x31\x01'],
  ['DICOM', 128, 'DICM'],
];

/** What the first bytes say, whatever the file is called: a format that is read, the name of one that is not, or neither. */
export function recogniseFormat(bytes: Uint8Array): { readable?: ImageFormat; unsupported?: string } {
  const head = Buffer.from(bytes.subarray(0, 1024)).toString('latin1');
  const found = readable.find(([, offset, magic]) => head.startsWith(magic, offset));
  if (found) return { readable: found[0] };
  if (/^(\xef\xbb\xbf)?\s*</.test(head) && head.includes('<svg') && !/<html/i.test(head)) return { unsupported: 'SVG' };
  if (/^P[1-7]\s+[\d#W]/.test(head)) return { unsupported: 'PNM' };
  return { unsupported: known.find(([, offset, magic]) => head.startsWith(magic, offset))?.[0] };
}
