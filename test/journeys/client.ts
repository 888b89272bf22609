import { waitFor } from '#libs/testing';
import type { Form } from '../forms/forms.js';
import { helpdesk } from './partner.js';
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
  deadLetters: { id: string; kind: string; code: string; resolvedAt: string | null; resolution: string | null }[];
  timeline: { kind: string; title: string; at: string }[];
  /** The hold that its record waits in. */
  hold: CustomerHold | null;
}

export interface CustomerHold {
  group: string;
  reason: string;
  heldRecords: number;
  deadLetter: { id: string } | null;
}

const storyFields = `
  id state traceId customer { key }
  runs { id generation state decision modelAttempts { outcome errorCode } }
  deliveries { id state generation errorCode attempts { number outcome status } }
  deadLetters { id kind code resolvedAt resolution }
  timeline { kind title at }
  hold { group reason heldRecords deadLetter { id } }`;

/** A tenant's access to a running Millrace: the webhooks of its partners, and GraphQL. */
export class Client {
  private readonly warmUps = new Set<string>();

  constructor(
    private readonly form: Form,
    readonly tenant: string,
    private readonly credential: string,
  ) {}

  /** Posts the request once. */
  async send(request: SignedRequest): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const answer = await fetch(`${this.form.doors}/webhooks/${this.tenant}.${request.source}`, {
      method: 'POST',
      headers: request.headers,
      body: request.body,
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, headers: answer.headers };
  }

  /** Posts a request and resolves with the event id. @throws Error if it is not accepted */
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

  /** Resolves with the event once it satisfies `condition`. It is read again then, because its fields are read one after the other and some may be older. */
  async storyWhen(eventId: string, what: string, condition: (story: EventStory) => boolean, deadlineMs = 30_000): Promise<EventStory> {
    await waitFor(
      async () => {
        const story = await this.story(eventId);
        return story !== null && condition(story);
      },
      { deadlineMs, what: `${what} (${eventId})` },
    );
    return (await this.story(eventId))!;
  }

  delivered(eventId: string, deadlineMs?: number): Promise<EventStory> {
    return this.storyWhen(eventId, 'the event to be decided and delivered', (story) => story.state === 'COMPLETED', deadlineMs);
  }

  /** The holds of a customer. */
  async holdsOf(customer: string): Promise<CustomerHold[]> {
    const query = `query ($key: String!) { customer(key: $key) { holds { group reason heldRecords deadLetter { id } } } }`;
    return (await this.graphql<{ customer: { holds: CustomerHold[] } }>(query, { key: customer })).customer.holds;
  }

  async eventIds(): Promise<string[]> {
    const { events } = await this.graphql<{ events: { nodes: { id: string }[] } }>('{ events(first: 100) { nodes { id } } }');
    return events.nodes.map((event) => event.id).filter((id) => !this.warmUps.has(id));
  }

  /** Applies documents of the tenant. Resolves when they are in effect. */
  async apply(documents: readonly object[]): Promise<void> {
    const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }`;
    await this.graphql(mutation, { documents });
    await this.inEffect();
  }

  /**
   * Resolves when the tenant's documents have reached all processes. Each process reads them by itself, a moment after they were applied, and an event
   * that comes before finds no source or no flow. So events are sent until one is delivered.
   */
  async inEffect(): Promise<void> {
    await waitFor(
      async () => {
        const { status, body } = await this.send(helpdesk(`warm-up-${this.warmUps.size}`, 'warm-up', 'Hello'));
        if (status !== 200) return false;
        const [id] = body['eventIds'] as [string];
        this.warmUps.add(id);
        return this.storyWhen(id, 'a warm-up to be delivered', (story) => story.state === 'COMPLETED', 2_000);
      },
      { deadlineMs: 30_000, what: 'the documents to be in effect' },
    );
  }
}

/** Adds faults to the local model's, which are used up by the calls that match. */
export async function setFaults(form: Form, script: object[]): Promise<void> {
  const answer = await fetch(`${form.model}/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(script),
  });
  if (!answer.ok) throw new Error(`the local model refused the faults: ${await answer.text()}`);
}
