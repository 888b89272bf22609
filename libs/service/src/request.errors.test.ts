import { expect, test } from 'vitest';
import { MediaTypeUnsupported } from './request.errors.js';

test.each([
  [undefined, 'The request has no content type; send application/json'],
  ['', 'The request has no content type; send application/json'],
  ['text/css', 'The content type text/css is not read here; send application/json'],
])('the content type %j is named if there is one', (given, message) => {
  expect(new MediaTypeUnsupported(given, 'application/json').message).toBe(message);
});
