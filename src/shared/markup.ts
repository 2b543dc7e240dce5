/** Text that is markup already. Everything else is escaped when `markup` takes it in, so that no name can become a tag. */
export interface Markup {
  readonly markup: string;
}

type Part = string | number | Markup | false | undefined | readonly Part[];

const references: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function markupOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'number') return String(part);
  if (typeof part === 'string') return part.replace(/[&<>"']/g, (character) => references[character]!);
  return 'markup' in part ? part.markup : part.map(markupOf).join('');
}

/** SVG or HTML of a template: strings and numbers are escaped, undefined and false are nothing, lists are joined. */
export function markup(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return { markup: String.raw({ raw: strings }, ...parts.map(markupOf)) };
}

/** For constants of the source that are markup, styles or scripts as they stand. */
export const verbatim = (text: string): Markup => ({ markup: text });
