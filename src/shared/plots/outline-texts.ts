import { labelOutline } from './label.js';

const textNode = 3;
/** Attributes of texts that mean nothing on a path, or that its outline has taken in. */
const placing = new Set(['x', 'y', 'dx', 'dy']);

/**
 * Replaces the texts of a drawing by outlines of the font that comes with patchline, since there may be no font on the machine.
 * Knows what Observable Plot writes: sizes and anchors that may stand on a parent, lengths in em, lines as tspan.
 */
export function outlineTexts(svg: SVGSVGElement): void {
  for (const text of [...svg.querySelectorAll('text')]) {
    const path = text.ownerDocument.createElementNS('http://www.w3.org/2000/svg', 'path');
    for (const { name, value } of text.attributes) if (!placing.has(name)) path.setAttribute(name, value);
    path.setAttribute('d', outlineOf(text));
    text.replaceWith(path);
  }
}

function outlineOf(text: SVGTextElement): string {
  const tspans = [...text.querySelectorAll('tspan')];
  let y = 0;
  return (tspans.length > 0 ? tspans : [text])
    .map((line) => {
      const size = Number.parseFloat(inherited(line, 'font-size')!);
      y = (lengthOf(line, 'y', size) ?? y) + (lengthOf(line, 'dy', size) ?? 0);
      return labelOutline({
        x: (lengthOf(line, 'x', size) ?? 0) + (lengthOf(line, 'dx', size) ?? 0),
        y,
        text: ownTextOf(line),
        size,
        anchor: (inherited(line, 'text-anchor') ?? 'start') as 'start' | 'middle' | 'end',
        bold: ['bold', '700'].includes(inherited(line, 'font-weight') ?? ''),
      });
    })
    .join('');
}

const inherited = (element: SVGElement, name: string) => element.closest(`[${name}]`)?.getAttribute(name);

/** Pixels. */
function lengthOf(element: SVGElement, name: string, fontSize: number): number | undefined {
  const value = element.getAttribute(name);
  return value === null ? undefined : Number.parseFloat(value) * (value.endsWith('em') ? fontSize : 1);
}

/** Without that of a title, which a browser shows under the pointer. */
const ownTextOf = ({ childNodes }: SVGElement): string =>
  [...childNodes]
    .filter(({ nodeType }) => nodeType === textNode)
    .map(({ textContent }) => textContent)
    .join('');
