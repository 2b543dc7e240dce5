/** For people: so many digits, and all before the point, such as 41.2, 0.0031, 10234 or 2.5e−7. */
export function numberText(value: number, digits = 3): string {
  const size = Math.abs(value);
  const isPlain = size === 0 || (size >= 1e-4 && size < 1e7);
  const text = size >= 10 ** digits ? value.toFixed(0) : String(Number(value.toPrecision(digits)));
  return withMinus(isPlain ? text : Number(value.toPrecision(digits)).toExponential().replace('e+', 'e'));
}

/** A rounded number with its sign, unless it is 0. */
export function signedText(value: number, decimals: number): string {
  const text = fixedText(value, decimals);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

export function fixedText(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return withMinus(Number(text) === 0 ? text.replace('-', '') : text);
}

const withMinus = (text: string): string => text.replaceAll('-', '\u2212');

/** As in "20,000". */
export const countText = (count: number): string => count.toLocaleString('en');
