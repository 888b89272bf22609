import { expect, test } from 'vitest';
import { Output } from './output.js';

test('what partners sent moves no cursor and changes no title: control characters are shown as escapes', () => {
  const printed: string[] = [];
  const output = new Output({ print: (text) => printed.push(text), note: (text) => printed.push(text), write: () => undefined }, false);
  const hostile = 'E-1 \u001b[31m\u001b]0;x\u0007\u009b2J\r\nnext\tline ä';
  output.result({}, hostile);
  output.note(hostile);
  const shown = 'E-1 \\u001b[31m\\u001b]0;x\\u0007\\u009b2J\\u000d\nnext\tline ä';
  expect(printed).toEqual([shown, shown]);
});
