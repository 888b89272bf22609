import { expect, test } from 'vitest';
import { parseJson } from '#libs/json';
import { compileListExpression } from './list-expression.js';

const evaluate = async (text: string, input: string) => compileListExpression(text, { owner: 'acme' }).evaluate(parseJson(input));

test.each([
  ['body.items', '{"body":{"items":[]}}', []],
  ['body.items', '{"body":{"items":[{"id":1}]}}', [{ id: 1 }]],
  ['body.items', '{"body":{"items":[null]}}', [null]],
  ['body', '{"body":[1]}', [1]],
  ['body.items.id', '{"body":{"items":[{"id":1}]}}', [1]], // one value by JSONata
  ['body.items.id', '{"body":{"items":[]}}', []], // nothing by JSONata
  ['body.items[open].{ "id": id }', '{"body":{"items":[{"id":1,"open":true},{"id":2,"open":false}]}}', [{ id: 1 }]],
  ['body.items[open]', '{"body":{"items":[{"id":1,"open":false}]}}', []],
  ['body.items^(id)', '{"body":{"items":[{"id":1}]}}', [{ id: 1 }]],
  ['body.groups.items', '{"body":{"groups":[{"items":[1]}]}}', [1]],
  ['[body.items]', '{"body":{}}', []],
  ['[body.items]', '{"body":{"items":{"id":1}}}', [{ id: 1 }]],
  ['[body.items]', '{"body":{"items":[{"id":1}]}}', [{ id: 1 }]],
  ['body.ok ? body.items : []', '{"body":{"ok":false}}', []],
])('%s over %s is the list %j', async (text, input, list) => {
  expect(await evaluate(text, input)).toEqual(list);
});

test('numbers of a list of one keep their digits', async () => {
  const list = await evaluate('body.items', '{"body":{"items":[{"id":12345678901234567890}]}}');
  expect(JSON.stringify(list)).toBe('[{"id":12345678901234567890}]');
});

test.each([
  ['body.items', '{"body":{"error":"busy"}}', 'nothing'],
  ['body.items', '{"body":null}', 'nothing'],
  ['body.items', '{}', 'nothing'],
  ['body.items', '{"body":{"items":null}}', 'null'],
  ['body.items', '{"body":{"items":"soon"}}', 'text'],
  ['body.items', '{"body":{"items":{"id":1}}}', 'an object'],
  ['body.items', '{"body":{"items":12345678901234567890}}', 'a number'],
  ['body.items', '{"body":{"items":false}}', 'false'],
  ['body.items.{ "id": id }', '{"body":{"error":"busy"}}', 'nothing'],
  ['body.items[open]', '{"body":{"items":"soon"}}', 'nothing'],
  ['body.list[0].items', '{"body":{"list":[{"error":"busy"}]}}', 'nothing'],
  ['body.list{ id: name }', '{"body":{"list":[{"id":"a","name":"b"}]}}', 'an object'],
])('%s over %s is no list: it yields %s', async (text, input, kind) => {
  await expect(evaluate(text, input)).rejects.toThrow(`it yields ${kind} instead of a list`);
  await expect(evaluate(text, input)).rejects.toThrow(`in the expression '${text}'`);
});
