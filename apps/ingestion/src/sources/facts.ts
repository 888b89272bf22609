import { z } from 'zod';
import type { Json } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Extraction } from '#libs/signatures';

/** What expressions at the door see. Header names are lower-case. */
export interface Arrival {
  body: Json;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What could be read of an event; null where nothing usable stands there. */
export interface Facts {
  eventId: string | null;
  type: string | null;
  customer: string | null;
  /** RFC 3339, UTC. */
  occurredAt: string | null;
  /** The facts whose expression failed, instead of yielding nothing. */
  failed: readonly Fact[];
}

export const factNames = ['eventId', 'type', 'customer', 'occurredAt'] as const;
export type Fact = (typeof factNames)[number];

/** What a fact must be to be usable. */
const forms: Readonly<Record<Fact, (value: Json | undefined) => string | null>> = {
  eventId: usableText,
  type: usableText,
  customer: usableText,
  occurredAt: instant,
};

/** A partner waits for an answer meanwhile. */
const limits = { timeoutMs: 50 };

/** Reads an event's facts with the expressions of a source, compiled once. */
export class FactReader {
  private readonly expressions: Readonly<Record<Fact, readonly Expression[]>>;
  private readonly typeDetail: Expression | undefined;

  /** @throws ExpressionInvalid */
  constructor(extraction: Extraction) {
    const compile = (text: string): Expression => compileExpression(text, limits);
    this.expressions = {
      eventId: extraction.eventId.map(compile),
      type: extraction.type.map(compile),
      customer: extraction.customer.map(compile),
      occurredAt: extraction.occurredAt.map(compile),
    };
    this.typeDetail = extraction.typeDetail === undefined ? undefined : compile(extraction.typeDetail);
  }

  /** An expression that fails counts as yielding nothing: what is verified is recorded, and its facts can be mended later; refused, it is lost. */
  async read(arrival: Arrival): Promise<Facts> {
    const failed: Fact[] = [];
    const found: Record<Fact, string | null> = { eventId: null, type: null, customer: null, occurredAt: null };
    for (const fact of factNames) {
      for (const expression of this.expressions[fact]) {
        const value = expression.evaluate(arrival);
        found[fact] = forms[fact](value instanceof Promise ? await valueOf(value, () => failed.push(fact)) : value);
        if (found[fact] !== null) break;
      }
    }
    if (found.type !== null && this.typeDetail !== undefined) {
      const value = this.typeDetail.evaluate(arrival);
      const detail = usableText(value instanceof Promise ? await valueOf(value, () => failed.push('type')) : value);
      if (detail !== null) found.type = usableText(`${found.type}.${detail}`) ?? found.type;
    }
    return { ...found, failed };
  }
}

async function valueOf(evaluation: Promise<Json | undefined>, onFailure: () => void): Promise<Json | undefined> {
  try {
    return await evaluation;
  } catch (error) {
    if (!(error instanceof ExpressionFailed)) throw error;
    onFailure();
    return undefined;
  }
}

/** 1 to 256 characters that can stand in a record's key and in Postgres: text, or a number as it is written; null for anything else. */
export function usableText(value: Json | undefined): string | null {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || text.length === 0 || text.length > 256) return null;
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed() ? null : text;
}

/** RFC 3339 writes years with four digits. */
const yearZeroMs = -62_167_219_200_000;
const year10000Ms = 253_402_300_800_000;

/** RFC 3339, or seconds (milliseconds where it would be after the year 5000) since 1970. */
export function instant(value: Json | undefined): string | null {
  const ms =
    typeof value === 'number' ? (value < 100_000_000_000 ? value * 1_000 : value) : typeof value === 'string' ? parseRfc3339(value) : NaN;
  return ms >= yearZeroMs && ms < year10000Ms ? new Date(ms).toISOString() : null;
}

const rfc3339 = z.iso.datetime({ offset: true });

/** NaN where it is not a time that exists. */
function parseRfc3339(text: string): number {
  const upperCase = text.toUpperCase(); // RFC 3339 takes `t` and `z` too
  return rfc3339.safeParse(upperCase).success ? Date.parse(upperCase) : NaN;
}
