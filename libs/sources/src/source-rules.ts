import { DomainError, typeMatcher } from '#libs/contracts';
import type { EventReceived, SourceSpec } from '#libs/contracts';
import type { Json } from '#libs/json';
import { AddressList } from '#libs/ports';
import { compileSchema } from '#libs/schemas';
import type { CompiledSchema } from '#libs/schemas';
import { RequestTooLarge } from '#libs/service';
import { counter } from '#libs/tracing';

/** The request comes from an address that its source does not take requests from. */
export class AddressForbidden extends DomainError {
  readonly code = 'source.addressForbidden';
  constructor(address: string) {
    super(`The source takes no requests from ${address === '' ? 'an unknown address' : address}`);
  }
}

/** The data of an event does not fit the schema that its source has for its type. */
export class EventMisfit extends DomainError {
  readonly code = 'event.schemaMismatch';
  override readonly field: string;

  /** @param at the place of the event among those of its request; undefined: it is the only one */
  constructor(type: string, problem: string, at?: number) {
    const field = at === undefined ? 'body' : `${at}.data`;
    super(`${field}: an event of the type ${type.slice(0, 100)} does not fit the schema of its source: ${problem}`);
    this.field = field;
  }
}

const longestProblem = 500;

const misfits = counter(
  'millrace_event_schema_mismatches_total',
  'Events whose data did not fit the schema of their source: those that were refused with their request, and those that were taken with a flag.',
  { action: ['reject', 'flag'] },
);

interface EventSchema {
  readonly fits: (type: string) => boolean;
  readonly action: 'reject' | 'flag';
  /** Compiled with the first event of its type. @throws SchemaInvalid */
  readonly compiled: () => CompiledSchema;
}

/** The rules of a source that its requests have to keep beside their proof. Compiled once per version of its document. */
export class SourceRules {
  private readonly addresses: AddressList | undefined;
  private readonly schemas: readonly EventSchema[];

  private constructor(
    { addresses, schemas = [] }: SourceSpec,
    private readonly maxBodyBytes: number,
    owner: string,
  ) {
    this.addresses = addresses === undefined ? undefined : new AddressList(addresses);
    this.schemas = schemas.map(({ types, schema, onMismatch }) => {
      let compiled: CompiledSchema | undefined;
      return { fits: typeMatcher(types), action: onMismatch, compiled: () => (compiled ??= compileSchema(schema, { owner })) };
    });
  }

  /** Undefined where the document has no rules, so that other sources do nothing for them. */
  static of(spec: SourceSpec, tenant: string): SourceRules | undefined {
    const { addresses, maxBodyBytes, schemas } = spec;
    if (addresses === undefined && maxBodyBytes === undefined && schemas === undefined) return undefined;
    return new SourceRules(spec, maxBodyBytes ?? Infinity, tenant);
  }

  /** @throws AddressForbidden */
  requireAddress(clientAddress: string): void {
    if (this.addresses?.has(clientAddress) === false) throw new AddressForbidden(clientAddress);
  }

  /** @throws RequestTooLarge */
  requireBodyBytes(bytes: number): void {
    if (bytes > this.maxBodyBytes) throw new RequestTooLarge(this.maxBodyBytes);
  }

  /**
   * The event, with a flag where its data does not fit.
   * @throws EventMisfit, EvaluationsBusy
   */
  async judged(event: EventReceived, data: Json, at?: number): Promise<EventReceived> {
    const schema = this.schemas.find(({ fits }) => fits(event.type));
    if (schema === undefined) return event;
    const found = schema.compiled().problemsOf(data);
    const problems = found instanceof Promise ? await found : found;
    if (problems.length === 0) return event;
    misfits.inc({ action: schema.action });
    const problem = problems.join('; ').slice(0, longestProblem);
    if (schema.action === 'reject') throw new EventMisfit(event.type, problem, at);
    return { ...event, schemaProblem: problem };
  }
}
