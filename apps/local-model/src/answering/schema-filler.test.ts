import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCheck } from '#libs/schemas';
import { analyse } from '../analysis/analysis.js';
import { fillSchema } from './schema-filler.js';

const complaint =
  'I was charged twice for order #A-10293 on 2026-10-03! Please refund $129.99 to jo@example.com. This is the third time I write and nobody answers.';
const object = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const fill = (properties: Record<string, object>, text = complaint) => fillSchema(object(properties), analyse([text]));

describe('a field is filled by what it is called', () => {
  it.each<[string, object, unknown]>([
    ['sentiment', { enum: ['negative', 'neutral', 'positive'] }, 'negative'],
    ['mood', { enum: ['happy', 'unhappy', 'mixed'] }, 'unhappy'],
    ['sentimentScore', { type: 'number', minimum: -1, maximum: 1 }, -0.93],
    ['rating', { type: 'integer', minimum: 1, maximum: 5 }, 1],
    ['topic', { enum: ['shipping', 'payments', 'it', 'other'] }, 'payments'],
    ['category', { type: 'string' }, 'billing'],
    ['department', { enum: ['Logistics team', 'Finance team'] }, 'Finance team'],
    ['priority', { enum: ['low', 'medium', 'high'] }, 'medium'],
    ['severity', { enum: ['P1', 'P2', 'P3', 'P4'] }, 'P2'],
    ['urgency', { type: 'number', minimum: 0, maximum: 1 }, 0.55],
    ['riskScore', { type: 'integer', minimum: 0, maximum: 100 }, 55],
    ['priority', { type: 'integer', minimum: 1, maximum: 5, description: '1 is the highest' }, 3],
    ['decision', { enum: ['approve', 'review', 'reject'] }, 'review'],
    ['language', { type: 'string' }, 'en'],
    ['language', { enum: ['English', 'German', 'other'] }, 'English'],
    ['orderNumber', { type: 'string' }, 'A-10293'],
    ['refundAmount', { type: 'number' }, 129.99],
    ['currency', { type: 'string' }, 'USD'],
    ['contactEmail', { type: 'string', format: 'email' }, 'jo@example.com'],
    ['chargedOn', { type: 'string', format: 'date' }, '2026-10-03'],
    ['needsHuman', { type: 'boolean' }, true],
    ['isRefundRequest', { type: 'boolean' }, true],
    ['isQuestion', { type: 'boolean' }, false],
    ['mentionsLawyer', { type: 'boolean' }, false],
    ['isNotUrgent', { type: 'boolean' }, false],
    ['kind', { const: 'ticket' }, 'ticket'],
    ['verdict', { type: 'string', description: 'The overall sentiment of the customer' }, 'negative'],
  ])('%s %j', (name, schema, expected) => {
    expect(fill({ [name]: schema })).toEqual({ [name]: expected });
  });

  it('a summary keeps to its length', () => {
    const { summary } = fill({ summary: { type: 'string', maxLength: 60 } }) as { summary: string };
    expect(summary).toBe('I was charged twice for order #A-10293 on 2026-10-03!');
  });

  it('reasons are those of the score', () => {
    expect(fill({ reasons: { type: 'array', items: { type: 'string' }, maxItems: 1 } })).toEqual({
      reasons: ['A payment failed or was taken wrongly.'],
    });
  });

  it('entities are listed with what they are', () => {
    const item = object({ type: { type: 'string' }, value: { type: 'string' } });
    expect(fill({ entities: { type: 'array', items: item } })).toMatchObject({
      entities: expect.arrayContaining([
        { type: 'money', value: '$129.99' },
        { type: 'order', value: 'A-10293' },
      ]),
    });
  });

  it('entities of one kind can be asked for', () => {
    expect(fill({ amounts: { type: 'array', items: { type: 'number' } }, emails: { type: 'array', items: { type: 'string' } } })).toEqual({
      amounts: [129.99],
      emails: ['jo@example.com'],
    });
  });

  it('a part inherits what it is about', () => {
    expect(
      fill({ sentiment: object({ label: { enum: ['negative', 'positive'] }, score: { type: 'number', minimum: 0, maximum: 10 } }) }),
    ).toEqual({
      sentiment: { label: 'negative', score: 0.35 },
    });
  });

  it('an unknown text gets the sentence that speaks of it', () => {
    expect(fill({ refundRequest: { type: 'string' } })).toEqual({ refundRequest: 'Please refund $129.99 to jo@example.com.' });
  });

  describe('a recommendation is an item of a list in the input', () => {
    const input = JSON.stringify({
      viewed: { id: 1, title: 'Trail running shoes' },
      candidates: [
        { id: 2, title: 'Teapot' },
        { id: 3, title: 'Running socks' },
      ],
    });
    const item = object({ product: { type: 'integer' }, title: { type: 'string' }, reason: { type: 'string' } });

    it('with its id, its title and the reason', () => {
      expect(fill({ recommendations: { type: 'array', items: item, maxItems: 3 } }, input)).toEqual({
        recommendations: [{ product: 3, title: 'Running socks', reason: 'It shares “running” with what is known.' }],
      });
    });

    it('alone, as a text, or one of those allowed', () => {
      const ids = { recommendedIds: { type: 'array', items: { enum: [2, 3] } } };
      expect(fill({ recommendation: item, suggestedProduct: { type: 'integer' }, ...ids }, input)).toMatchObject({
        recommendation: { product: 3 },
        suggestedProduct: 3,
        recommendedIds: [3],
      });
    });

    it('or a field like any other where there is no list', () => {
      expect(fill({ recommendation: { type: 'string' } }, 'We recommend a refund.')).toEqual({ recommendation: 'We recommend a refund.' });
    });
  });

  it('the quality of a text grows with what it tells', () => {
    const quality = { quality: { type: 'number', minimum: 0, maximum: 1 } };
    expect([fill(quality, 'Nice!'), fill(quality)]).toEqual([{ quality: 0.12 }, { quality: 0.55 }]);
  });

  it('labels that fit are picked from a list', () => {
    const tags = { type: 'array', items: { enum: ['billing', 'shipping', 'refund', 'praise'] }, uniqueItems: true };
    expect(fill({ tags })).toEqual({ tags: ['billing', 'refund'] });
  });
});

describe('what is not known', () => {
  it('is null where it may be', () => {
    const nothing = { orderNumber: { type: ['string', 'null'] }, amount: { anyOf: [{ type: 'number' }, { type: 'null' }] } };
    expect(fill(nothing, 'Hello there')).toEqual({ orderNumber: null, amount: null });
  });

  it('is left out where it may be', () => {
    const schema = { type: 'object', properties: { topic: { type: 'string' }, frobnication: { type: 'string' } }, required: ['topic'] };
    expect(fillSchema(schema, analyse([complaint]))).toEqual({ topic: 'billing' });
  });

  it('is the label for the rest where there is one', () => {
    expect(fill({ topic: { enum: ['billing', 'delivery', 'other'] } }, 'The weather is mild.')).toEqual({ topic: 'other' });
  });
});

describe('whatever the schema, the answer fits it', () => {
  const leaf = fc.oneof(
    fc.constant({ type: 'boolean' }),
    fc.constant({ type: 'null' }),
    fc.record({ type: fc.constant('string'), minLength: fc.integer({ min: 0, max: 20 }), maxLength: fc.integer({ min: 20, max: 300 }) }),
    fc.record({
      type: fc.constantFrom('number', 'integer'),
      minimum: fc.integer({ min: -50, max: 0 }),
      maximum: fc.integer({ min: 1, max: 500 }),
    }),
    fc.record({
      type: fc.constant('integer'),
      minimum: fc.integer({ min: 0, max: 9 }),
      maximum: fc.integer({ min: 10, max: 90 }),
      multipleOf: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({
      type: fc.constant('number'),
      exclusiveMinimum: fc.integer({ min: 0, max: 9 }),
      exclusiveMaximum: fc.integer({ min: 10, max: 90 }),
    }),
    fc.record({
      enum: fc.uniqueArray(fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)), { minLength: 1, maxLength: 5 }),
    }),
    fc.record({ type: fc.constant('string'), format: fc.constantFrom('date', 'date-time', 'email', 'uri', 'uuid', 'time') }),
    fc.constant({ $ref: '#/$defs/shared' }),
  );
  const names = fc.constantFrom(
    'sentiment',
    'topic',
    'score',
    'summary',
    'reasons',
    'entities',
    'amount',
    'dueDate',
    'isUrgent',
    'confidence',
    'language',
    'x',
    'tags',
  );
  const { node } = fc.letrec<{ node: object }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.record({ properties: fc.dictionary(names, tie('node'), { maxKeys: 4 }), all: fc.boolean() }).map(({ properties, all }) => ({
        type: 'object',
        properties,
        required: all ? Object.keys(properties) : [],
        additionalProperties: false,
      })),
      fc
        .record({ items: tie('node'), minItems: fc.integer({ min: 0, max: 2 }), maxItems: fc.integer({ min: 2, max: 4 }) })
        .map((list) => ({ type: 'array', ...list })),
      tie('node').map((inner) => ({ anyOf: [inner, { type: 'null' }] })),
      tie('node').map((inner) => ({ allOf: [inner] })),
    ),
  }));
  const texts = fc.constantFrom(
    complaint,
    '',
    'Hello',
    JSON.stringify({ type: 'charge.dispute.created', amount: 5, currency: 'usd' }),
    'Je veux être remboursé',
  );

  it('where a list of entities is to be dates, and an order number reads as the year 10293', () => {
    const schema = { type: 'object', properties: { entities: { type: 'array', items: { type: 'string', format: 'date' } } } };
    expect(compileCheck(schema).problemsOf(fillSchema(schema, analyse([complaint])))).toEqual([]);
  });

  it('over many schemas and texts', { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(node, texts, (inner, text) => {
        const schema = {
          type: 'object',
          properties: { result: inner },
          required: ['result'],
          $defs: { shared: { type: 'string', maxLength: 10 } },
        };
        expect(compileCheck(schema).problemsOf(fillSchema(schema, analyse([text])))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('even where it refers to itself', () => {
    const schema = {
      $ref: '#/$defs/tree',
      $defs: {
        tree: {
          type: 'object',
          properties: { topic: { type: 'string' }, tags: { type: 'array', items: { $ref: '#/$defs/tree' } } },
          required: ['topic', 'tags'],
        },
      },
    };
    expect(compileCheck(schema).problemsOf(fillSchema(schema, analyse([complaint])))).toEqual([]);
  });

  const letters = Array.from('abcdefghij');

  it.each<[string, object]>([
    [
      'ten required properties of its own kind',
      { type: 'object', required: letters, properties: Object.fromEntries(letters.map((key) => [key, { $ref: '#' }])) },
    ],
    ['a list of a thousand million', { type: 'array', minItems: 1e9, items: { type: 'array', minItems: 1e9, items: { type: 'string' } } }],
    ['a text of a thousand million characters', { type: 'string', minLength: 1e9 }],
  ])('or ends without fitting it, where it asks for more than an answer can hold: %s', (_name, schema) => {
    expect(compileCheck(schema).problemsOf(fillSchema(schema as Record<string, unknown>, analyse([complaint])))).not.toEqual([]);
  });

  it('with a pattern that a word of the text satisfies', () => {
    expect(fill({ reference: { type: 'string', pattern: '^[A-Z]-\\d+$' } })).toEqual({ reference: 'A-10293' });
  });
});
