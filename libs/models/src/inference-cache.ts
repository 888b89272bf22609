import { hash } from 'node:crypto';
import { canonical } from '#libs/json';
import type { Json } from '#libs/json';
import { TenantCache } from '#libs/lru';
import type { SharedOutputs } from '#libs/redis';
import { counter } from '#libs/tracing';
import type { Deadline } from './deadline.js';
import { failureWithin } from './model-endpoint.js';
import type { Inference, InferenceCaching, InferenceRequest } from './inference.js';
import { ModelAnswerTooLarge, ModelOutputInvalid, ModelRefused } from './model.errors.js';
import type { OutputGate } from './output-gate.js';

/** An inference is made for others who wait for it so often at most before each asks for itself. */
const mostHandOvers = 2;

const inferences = counter(
  'millrace_model_cached_inferences_total',
  'Outputs that infer steps with a cache used, by where they came from.',
  {
    tenant: 'the tenant',
    from: '`memory` of the process; `shared`: another process had it; `other`: another run asked the same at the same time; `model`: it was asked',
  },
);

type Cached = Pick<Inference, 'model' | 'responseModel'> & { readonly output: Json };

/** A place in the cache, and how long an output is used. */
interface Entry {
  readonly key: string;
  readonly tenant: string;
  readonly ttlMs: number;
}

/** The result of the first of several equal requests. */
interface Flight {
  readonly inference: Inference;
  /** The age of its output. */
  readonly ageMs: number;
}

/**
 * Outputs that passed all gates, for requests of one tenant that are equal: in the memory of the process, and beside it those that other processes share.
 * Equal requests at the same time in a process make one inference. The gates of each request look at an output before it is used.
 */
export class InferenceCache {
  private readonly outputs: TenantCache<Cached>;
  private readonly flights = new Map<string, Promise<Flight>>();

  /**
   * @param now a monotonic clock, in ms
   * @param shared outputs of other processes, beside those of this one
   */
  constructor(
    now: () => number,
    private readonly shared?: Pick<SharedOutputs, 'get' | 'put'>,
  ) {
    this.outputs = new TenantCache(undefined, now);
  }

  /**
   * Returns a stored output, or the one that `make` makes.
   * @throws what `make` throws; the failure of another run's inference if that is for good; ModelUnavailable if the deadline passes while another one is under way
   */
  async get(
    request: InferenceRequest & { cache: InferenceCaching },
    { gate, deadline }: { gate: OutputGate; deadline: Deadline },
    make: () => Promise<Inference>,
  ): Promise<Inference> {
    const { tenant } = request;
    const { ttlMs } = request.cache;
    const key = keyOf(request);
    for (let handOvers = 0; ; handOvers += 1) {
      const known = await accepted(this.outputs.get(key, ttlMs)?.output, gate);
      if (known !== undefined) return reused(known, tenant, 'memory');
      const flight = this.flights.get(key);
      if (flight === undefined) return await this.lead({ key, tenant, ttlMs }, gate, make);
      const result = await follow(flight, deadline);
      const given = await accepted('inference' in result && result.ageMs <= ttlMs ? result.inference : undefined, gate);
      if (given !== undefined) return reused(given, tenant, 'other');
      if ('failure' in result && isForGood(result.failure)) throw result.failure;
      if (handOvers >= mostHandOvers) return await this.makeOne(tenant, make);
    }
  }

  /** Finds or makes the inference for all who ask the same meanwhile. */
  private async lead(entry: Entry, gate: OutputGate, make: () => Promise<Inference>): Promise<Inference> {
    const flight = this.fly(entry, gate, make);
    this.flights.set(entry.key, flight);
    try {
      return (await flight).inference;
    } finally {
      this.flights.delete(entry.key);
    }
  }

  private async fly({ key, tenant, ttlMs }: Entry, gate: OutputGate, make: () => Promise<Inference>): Promise<Flight> {
    const known = this.shared === undefined ? undefined : await this.shared.get(tenant, key);
    if (known !== undefined && known.ageMs <= ttlMs) {
      const cached = known.output as unknown as Cached;
      const taken = await accepted(cached, gate);
      if (taken !== undefined) {
        this.outputs.set(key, tenant, cached, known.ageMs);
        return { inference: reused(taken, tenant, 'shared'), ageMs: known.ageMs };
      }
    }
    const inference = await this.makeOne(tenant, make);
    const { output, model, responseModel } = inference;
    this.outputs.set(key, tenant, { output, model, responseModel });
    void this.shared?.put(tenant, key, { output, model, responseModel }, ttlMs); // nobody waits for it
    return { inference, ageMs: 0 };
  }

  private async makeOne(tenant: string, make: () => Promise<Inference>): Promise<Inference> {
    const inference = await make();
    inferences.inc({ tenant, from: 'model' });
    return inference;
  }
}

/** The random marks of a prompt are no part of the key, so it is made of what the prompt is made of. */
function keyOf({ tenant, target, instructions, input, outputSchema, prompt, temperature, maxOutputTokens }: InferenceRequest): string {
  const asked = [target, instructions, outputSchema.schema, prompt ?? null, temperature ?? null, maxOutputTokens ?? null];
  return hash('sha256', JSON.stringify([tenant, asked, canonical((input ?? null) as Json)]));
}

/** The output if the gates of this request let it pass. */
async function accepted(known: Cached | undefined, gate: OutputGate): Promise<Cached | undefined> {
  if (known === undefined) return undefined;
  try {
    return { ...known, output: await gate.accept(JSON.stringify(known.output)) };
  } catch (error) {
    if (error instanceof ModelOutputInvalid) return undefined;
    throw error;
  }
}

type Followed = Flight | { readonly failure: unknown };

/** Waits for the inference of another run. @throws as {@link failureWithin} if this one's time is up before */
async function follow(flight: Promise<Flight>, deadline: Deadline): Promise<Followed> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(new Error('the time is up'));
  if (deadline.signal.aborted) abort();
  deadline.signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([flight.catch((failure: unknown): Followed => ({ failure })), promise]);
  } catch (error) {
    throw failureWithin(deadline, error);
  } finally {
    deadline.signal.removeEventListener('abort', abort);
  }
}

/** True for a failure that the next run would have, too. */
function isForGood(failure: unknown): boolean {
  return failure instanceof ModelRefused || failure instanceof ModelAnswerTooLarge;
}

function reused({ output, model, responseModel }: Cached, tenant: string, from: 'memory' | 'shared' | 'other'): Inference {
  inferences.inc({ tenant, from });
  return { output, model, responseModel, usage: undefined, attempts: 0, providerRequestId: undefined };
}
