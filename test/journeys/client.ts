import { waitFor } from '#libs/testing';
import type { Form } from '../forms/forms.js';
import type { SignedRequest } from './partner.js';

export interface EventStory {
  id: string;
  state: 'RECORDED' | 'RUNNING' | 'DELIVERING' | 'COMPLETED' | 'PARKED';
  traceId: string | null;
  customer: { key: string };
  runs: {
    id: string;
    generation: number;
    state: string;
    decision: unknown;
    modelAttempts: { outcome: string; errorCode: string | null }[];
  }[];
  deliveries: {
    id: string;
    state: string;
    generation: number;
    errorCode: string | null;
    attempts: { number: number; outcome: string; status: number | null }[];
  }[];
  deadLetters: { id: string; code: string; resolvedAt: string | null }[];
  timeline: { kind: string; title: string; at: string }[];
}

const storyFields = `
  id state traceId customer { key }
  runs { id generation state decision modelAttempts { outcome errorCode } }
  deliveries { id state generation errorCode attempts { number outcome status } }
  deadLetters { id code resolvedAt }
  timeline { kind title at }`;

/** One tenant's way into a running Millrace: its partners' webhooks, its key, its questions. */
export class Client {
  constructor(
    private readonly form: Form,
    readonly tenant: string,
    private readonly credential: string,
  ) {}

  /** Posts the request as it is; no redirects, no repeats. */
  async send(request: SignedRequest): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const answer = await fetch(`${this.form.doors}/webhooks/${this.tenant}.${request.source}`, {
      method: 'POST',
      headers: request.headers,
      body: request.body,
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, headers: answer.headers };
  }

  /** Posts a request that must be taken, and gives the event's id. */
  async accepted(request: SignedRequest): Promise<string> {
    const { status, body } = await this.send(request);
    if (status !== 200) throw new Error(`expected 200, got ${status}: ${JSON.stringify(body)}`);
    return (body['eventIds'] as string[])[0]!;
  }

  async graphql<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const answer = await fetch(this.form.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.credential}`, 'millrace-tenant': this.tenant },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await answer.json()) as { data?: T; errors?: unknown };
    if (errors !== undefined || data === undefined) throw new Error(`GraphQL answered ${answer.status}: ${JSON.stringify(errors)}`);
    return data;
  }

  async story(eventId: string): Promise<EventStory | null> {
    return (await this.graphql<{ event: EventStory | null }>(`query ($id: ID!) { event(id: $id) { ${storyFields} } }`, { id: eventId }))
      .event;
  }

  /** The event's story once it satisfies `condition`. */
  async storyWhen(eventId: string, what: string, condition: (story: EventStory) => boolean, deadlineMs = 30_000): Promise<EventStory> {
    let last: EventStory | null = null;
    await waitFor(
      async () => {
        last = await this.story(eventId).catch(() => null);
        return last !== null && condition(last);
      },
      { deadlineMs, what: `${what} (${eventId})` },
    );
    return last!;
  }

  delivered(eventId: string): Promise<EventStory> {
    return this.storyWhen(eventId, 'the event to be decided and delivered', (story) => story.state === 'COMPLETED');
  }

  async eventIds(): Promise<string[]> {
    const { events } = await this.graphql<{ events: { nodes: { id: string }[] } }>('{ events(first: 100) { nodes { id } } }');
    return events.nodes.map((event) => event.id);
  }
}
