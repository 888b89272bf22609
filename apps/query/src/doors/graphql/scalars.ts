import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import type { ValueNode } from 'graphql';
import { LosslessNumber, isTooDeep, maxJsonDepth, numberOf } from '#libs/json';

const rfc3339 = /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/** A moment that the calendar has. Years before 1 and after 9999 are refused, also where the zone leads there: Postgres reads them differently. */
function moment(value: unknown, nodes?: ValueNode): Date {
  const [, year, month, day] = (typeof value === 'string' ? rfc3339.exec(value) : null) ?? [];
  const at = day === undefined || Number(day) > daysOf(Number(year), Number(month)) ? undefined : new Date((value as string).toUpperCase());
  if (at === undefined || !(at.getUTCFullYear() >= 1 && at.getUTCFullYear() <= 9999)) {
    throw new GraphQLError('must be a moment of the years 1 to 9999 with its zone, such as 2026-11-21T08:00:00Z', { nodes });
  }
  return at;
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate(); // the calendar repeats every 400 years
}

const dayMs = 86_400_000;
const twoDigits = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));
const threeDigits = Array.from({ length: 1_000 }, (_, n) => String(n).padStart(3, '0'));
/** The day that was written last, as a number of days since 1970 and as text: `2026-11-21T`. */
let lastDay = Number.NaN;
let lastDate = '';

/** Equal to `toISOString`, in a third of its time for times of the same day: a page has several times in each row. */
function isoText(at: Date): string {
  const ms = at.getTime();
  const day = Math.floor(ms / dayMs);
  if (day !== lastDay) {
    lastDate = at.toISOString().slice(0, -'08:00:00.000Z'.length);
    lastDay = day;
  }
  const inDay = ms - day * dayMs;
  const seconds = Math.floor(inDay / 1_000);
  const minutes = Math.floor(seconds / 60);
  return `${lastDate}${twoDigits[Math.floor(minutes / 60)]}:${twoDigits[minutes % 60]}:${twoDigits[seconds % 60]}.${threeDigits[inDay % 1_000]}Z`;
}

export const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  serialize: (value) => isoText(value as Date),
  parseValue: (value) => moment(value),
  parseLiteral: (node) => moment(node.kind === Kind.STRING ? node.value : undefined, node),
});

export const JSONValue = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => shallow(value),
  parseLiteral: (node, variables) => shallow(valueOf(node, variables ?? {}), node),
});

/** Bodies have this limit too, but a value in the text of a query is no JSON to the reader of bodies. */
function shallow(value: unknown, nodes?: ValueNode): unknown {
  if (isTooDeep(value)) throw new GraphQLError(`may be nested at most ${maxJsonDepth} levels deep`, { nodes });
  return value;
}

/** A literal as JSON has it. The number of nested nodes is bounded by the tokens of a document. */
function valueOf(node: ValueNode, variables: Record<string, unknown>): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT: {
      const number = numberOf(node.value);
      return number instanceof LosslessNumber && number.isDouble() ? Number(number) : number;
    }
    case Kind.LIST:
      return node.values.map((item) => valueOf(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, valueOf(value, variables)]));
    case Kind.VARIABLE:
      return variables[node.name.value];
    default:
      return node.value;
  }
}
