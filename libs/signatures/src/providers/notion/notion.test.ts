import { expect, test } from 'vitest';
import { notion } from './notion.js';

const post = (body: string) => notion.unsignedPost!({ headers: {}, rawBody: Buffer.from(body), secrets: ['secret_active00'] });

test('a token is told to the operator unless it is active, and the response does not tell which', () => {
  expect(post('{"verification_token":"secret_new00000"}')).toEqual({
    status: 200,
    body: '',
    forOperator: 'Notion’s verification token is secret_new00000: enter it there, and as a secret of this source',
  });
  expect(post('{"verification_token":"secret_active00"}')).toEqual({ status: 200, body: '' });
});

test('nothing else is told, so that nobody writes lines of their own into the log', () => {
  for (const body of [
    '{"verification_token":"secret_a\\nb0000000"}',
    '{"verification_token":"x"}',
    `{"verification_token":"secret_${'x'.repeat(300)}"}`,
  ]) {
    expect(post(body)).toBeUndefined();
  }
});
