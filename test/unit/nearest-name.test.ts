import { expect, test } from 'vitest';
import { nearestName, suggestionFor } from '../../src/shared/nearest-name.js';

const names = ['gradient', 'grad-cam', 'grad-cam++', 'score-cam', 'steps'];

test.each([
  ['gradcam', 'grad-cam'],
  ['Grad-CAM', 'grad-cam'],
  ['grad-cam+', 'grad-cam'],
  ['gardient', 'gradient'],
  ['scorecam', 'score-cam'],
  ['step', 'steps'],
  ['lime', undefined],
  ['', undefined],
])('%j is probably %s', (word, meant) => {
  expect(nearestName(word, names)).toBe(meant);
});

test('an error says what was probably meant, if anything was', () => {
  expect(suggestionFor('stepz', names)).toBe(' (did you mean steps?)');
  expect(suggestionFor('banana', names)).toBe('');
  expect(suggestionFor('banana', [])).toBe('');
});
