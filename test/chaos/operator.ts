import { chaosKeys, chaosTenant } from './documents.js';

interface OpenLetter {
  readonly id: string;
  readonly kind: 'RECORD' | 'RUN' | 'DELIVERY';
  readonly code: string;
  readonly event: { id: string } | null;
  readonly delivery: { id: string } | null;
}

/** Interval during the run. A customer whose run was given up waits for the operator. */
const roundMs = 5_000;
/** Time before it acts on the same dead letter again. */
const patienceMs = 10_000;

/** Acts on dead letters as people would after an outage: two retry runs, each of the same at the same moment; events are replayed, and deliveries redelivered. */
export class Operator {
  private readonly actedAt = new Map<string, number>();
  replayed = 0;
  retried = 0;
  /** Retries that both were told is ordered; the second one is to be passed over. */
  retriedTwice = 0;
  redelivered = 0;
  /** Deliveries of unknown outcome that the destination had taken, and that it had not. */
  readonly uncertain = { taken: 0, notTaken: 0 };

  private rounds: NodeJS.Timeout | undefined;
  private round: Promise<unknown> = Promise.resolve();

  /** @param wasTaken whether a destination has taken a delivery: a person asks there */
  constructor(
    private readonly graphql: string,
    private readonly wasTaken: (deliveryId: string) => boolean,
  ) {}

  start(): void {
    this.rounds = setInterval(() => {
      this.round = this.round.then(() => this.tidyUp()).catch(() => undefined); // what it works with may be struck
    }, roundMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.rounds);
    await this.round;
  }

  /** Retries, replays and redelivers open dead letters. Resolves with their number. */
  async tidyUp(): Promise<number> {
    const { deadLetters } = await this.ask<{ deadLetters: { nodes: OpenLetter[] } }>(
      '{ deadLetters(last: 100, filter: { resolved: false }) { nodes { id kind code event { id } delivery { id } } } }',
    );
    const due = deadLetters.nodes.filter(({ id }) => performance.now() - (this.actedAt.get(id) ?? -Infinity) > patienceMs);
    for (const letter of due) {
      this.actedAt.set(letter.id, performance.now());
      if (letter.delivery !== null && letter.code === 'delivery.uncertain') await this.findOut(letter.id, letter.delivery.id);
      else if (letter.delivery !== null) await this.redeliver(letter.delivery.id);
      else if (letter.kind === 'RUN') await this.retry(letter.id);
      else if (letter.event !== null) await this.replay(letter.event.id);
    }
    return deadLetters.nodes.length;
  }

  /** Skips what was taken, and sends the rest. */
  private async findOut(letterId: string, deliveryId: string): Promise<void> {
    const taken = this.wasTaken(deliveryId);
    this.uncertain[taken ? 'taken' : 'notTaken'] += 1;
    if (!taken) return this.redeliver(deliveryId, true);
    const input = { id: letterId, idempotencyKey: `chaos-${letterId}` };
    await this.ask('mutation ($input: SettleDeadLetterInput!) { skipDeadLetter(input: $input) { __typename } }', { input });
  }

  private async redeliver(deliveryId: string, evenIfTaken = false): Promise<void> {
    this.redelivered += 1;
    const input = { deliveryId, evenIfTaken, idempotencyKey: `chaos-${this.redelivered}` };
    await this.ask('mutation ($input: RedeliverInput!) { redeliver(input: $input) { __typename } }', { input });
  }

  /** Two people ask for it. One of them may learn that the other was faster. */
  private async retry(id: string): Promise<void> {
    this.retried += 1;
    const answers = await Promise.all(
      ['one', 'other'].map((who) => {
        const input = { id, idempotencyKey: `chaos-${who}-${this.retried}` };
        return this.ask<{ retryDeadLetter: { __typename: string } }>(
          'mutation ($input: SettleDeadLetterInput!) { retryDeadLetter(input: $input) { __typename } }',
          { input },
        );
      }),
    );
    if (answers.every(({ retryDeadLetter }) => retryDeadLetter.__typename === 'RetryDeadLetterSuccess')) this.retriedTwice += 1;
  }

  private async replay(eventId: string): Promise<void> {
    this.replayed += 1;
    const input = { ids: [eventId], idempotencyKey: `chaos-${this.replayed}` };
    await this.ask('mutation ($input: ReplayEventsInput!) { replayEvents(input: $input) { __typename } }', { input });
  }

  private async ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const answer = await fetch(this.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${chaosKeys.operator}`, 'millrace-tenant': chaosTenant },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(10_000),
    });
    const { data, errors } = (await answer.json()) as { data?: T; errors?: unknown };
    if (errors !== undefined || data === undefined) throw new Error(`GraphQL answered ${answer.status}: ${JSON.stringify(errors)}`);
    return data;
  }
}
