import { expect, test } from 'vitest';
import { markup, verbatim } from '../../src/shared/markup.js';

test('text is escaped, markup is not, and lists are joined', () => {
  const name = `<img src=x onerror="alert('1')"> & co`;
  const items = [name, 2].map((each) => markup`<li>${each}</li>`);
  expect(markup`<ul title="${name}">${items}${undefined}${verbatim('<hr>')}</ul>`.markup).toBe(
    '<ul title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; co">' +
      '<li>&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; co</li><li>2</li><hr></ul>',
  );
});
