import { Kind, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { enforceLimits, standardLimits } from './limits.js';
import { contractSchema as schema } from './contract.js';

function refusal(query: string, variables: Record<string, unknown> = {}, limits = standardLimits): string | null {
  const { definitions } = parse(query);
  const operation = definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION)!;
  const fragments = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  try {
    enforceLimits(schema, new Map(fragments.map((fragment) => [fragment.name.value, fragment])), operation, variables, limits);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the price', () => {
  const page = (first: string): string => `query ($n: Int) { events(first: ${first}) { nodes { id type customer { key } } } }`;
  const priced = (query: string, variables = {}): number => {
    const message = refusal(query, variables, { ...standardLimits, maxCost: 0 });
    return Number(/costs (\d+)/.exec(message!)![1]);
  };

  test('of a list is its rows times what is asked of each', () => {
    expect(priced(page('20'))).toBe(5 + 20 * (1 + 2 + 1 + 1));
    expect(priced(page('40'))).toBe(5 + 40 * (1 + 2 + 1 + 1));
  });

  test('is the same whether the number of rows stands in the query or in a variable', () => {
    expect(priced(page('$n'), { n: 80 })).toBe(priced(page('80')));
  });

  test('of a list without a number is that of a default page', () => {
    expect(priced('{ events { nodes { id type customer { key } } } }')).toBe(priced(page('20')));
    expect(priced(page('$n'))).toBe(priced(page('20')));
  });

  test('of lists within lists multiplies', () => {
    expect(refusal('{ events(first: 100) { nodes { id timeline { title } } } }')).toBeNull();
    expect(refusal('{ events(first: 100) { nodes { runs { event { runs { event { runs { steps { id } } } } } } } } }')).toMatch(
      /costs \d+/,
    );
  });

  test('of a fragment counts as often as it is spread, and takes no time to find', () => {
    const bomb = [...Array(25).keys()].map((n) => `fragment F${n} on Event { ...F${n + 1} ...F${n + 1} }`).join('\n');
    const query = `{ event(id: "x") { ...F0 } }\n${bomb}\nfragment F25 on Event { id }`;
    expect(refusal(query)).toMatch(/costs 3355\d+/);
  });
});

test('an operation that is too deep is refused', () => {
  const deep = `{ event(id: "x") { ${'runs { event { '.repeat(6)} id ${'} }'.repeat(6)} } }`;
  expect(refusal(deep, {}, { ...standardLimits, maxCost: Infinity })).toBe('The operation is 14 fields deep; 12 is the most');
});

test('fields at the root are counted with their aliases, in fragments too', () => {
  const aliases = (count: number): string => [...Array(count).keys()].map((n) => `a${n}: __typename`).join(' ');
  expect(refusal(`{ ${aliases(20)} }`)).toBeNull();
  expect(refusal(`{ ${aliases(15)} ...More } fragment More on Query { ${aliases(6)} }`)).toMatch('21 fields at its root; 20 are the most');
});
