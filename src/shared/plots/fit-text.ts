import { labelWidth } from './label.js';

/** Fonts other than that of the outlines run wider. */
const slack = 1.12;

/** The text, or its start and its end around "…" where it would be wider than so many pixels. */
export function fitText(text: string, width: number, { size = 13, bold = false } = {}): string {
  const fits = (shown: string) => slack * labelWidth({ text: shown, size, bold }) <= width;
  if (fits(text)) return text;
  const letters = [...text];
  const shorten = (kept: number) => {
    const start = Math.ceil(kept / 2);
    return `${letters.slice(0, start).join('').trimEnd()}\u2026${letters
      .slice(letters.length - (kept - start))
      .join('')
      .trimStart()}`;
  };
  let kept = Math.min(letters.length - 1, Math.ceil(width)); // no letter is narrower than a pixel
  while (kept > 2 && !fits(shorten(kept))) kept--;
  return shorten(kept);
}
