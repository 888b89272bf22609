import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { Database, TenantDatabase, statement } from '#libs/persistence';
import { uniqueName, waitFor } from '#libs/testing';
import { wallTimeMs } from '#libs/time';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
let tenant: string;
let key: string;

beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});
beforeEach(async () => {
  tenant = uniqueName('tenant');
  key = await server.key(tenant, 'review');
});

const schema = { type: 'object', required: ['amount'], properties: { amount: { type: 'number', maximum: 300 } } };
const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

/** A run that waits for a person. */
async function asks(id: string, more: Partial<Parameters<QueryServer['rows']['review']>[0]> = {}): Promise<void> {
  const ofRun = { tenant, event: `evt_${id}` };
  await server.rows.event({ ...ofRun, id: `evt_${id}` });
  await server.rows.run({ ...ofRun, id: `run_${id}`, state: 'waiting' });
  await server.rows.review({ ...ofRun, id: `rev_${id}`, run: `run_${id}`, ...more });
}

interface Answered {
  __typename: string;
  code?: string;
  violations?: { path: string[]; message: string }[];
  review?: Record<string, unknown>;
}

const fields = 'id state claimedBy outcome value decidedBy decisionReason';
async function change(name: string, input: object, as = key): Promise<Answered> {
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}`;
  const mutation = `mutation ($input: ${type}Input!) { answer: ${name}(input: $input) {
    __typename ... on ${type}Success { review { ${fields} } } ... on ValidationError { code violations { path message } } } }`;
  return (await server.data<{ answer: Answered }>(as, mutation, { input })).answer;
}

const audits = statement(
  'test.review.audits',
  'SELECT action, target, detail, actor FROM audit_entry WHERE tenant_id = $1 ORDER BY at, id',
);
const wait = statement(
  'test.review.wait',
  'SELECT due_at <= clock_timestamp() AS "isDue" FROM run_wait WHERE tenant_id = $1 AND run_id = $2',
);
const lapse = statement('test.review.lapse', `UPDATE review SET claimed_until = clock_timestamp() - interval '1 ms' WHERE tenant_id = $1`);

describe('the queue', () => {
  test('has what waits for a person: escalated ones, then by priority, then the longest wait; and says all about it', async () => {
    await asks('late', { askedAt: minutesAgo(1) });
    await asks('early', { askedAt: minutesAgo(9), schema, reason: 'Look' });
    await asks('high', { priority: 9 });
    await asks('pressing', { priority: 9, escalated: true });
    await asks('over', { askedAt: minutesAgo(9), expiresAt: minutesAgo(1) });
    const query = `query ($filter: ReviewFilter, $first: Int, $after: String, $orderBy: ReviewOrder! = QUEUE) {
      reviews(filter: $filter, first: $first, after: $after, orderBy: $orderBy) { nodes { id } pageInfo { endCursor } totalCount { value } } }`;
    type Page = { reviews: { nodes: { id: string }[]; pageInfo: { endCursor: string }; totalCount: { value: number } } };
    const page = async (variables: object): Promise<Page['reviews']> => (await server.data<Page>(key, query, variables as never)).reviews;
    const ids = async (variables: object): Promise<string[]> => (await page(variables)).nodes.map(({ id }) => id.slice(4));
    const all = await page({ first: 2 });
    expect(all.totalCount.value).toBe(4);
    expect([...all.nodes, ...(await page({ after: all.pageInfo.endCursor })).nodes].map(({ id }) => id.slice(4))).toEqual([
      'pressing',
      'high',
      'early',
      'late',
    ]);
    expect(await ids({ filter: { priorityFrom: 6, escalated: false } })).toEqual(['high']);
    expect(await ids({ filter: { askedBefore: minutesAgo(5).toISOString() } })).toEqual(['early']);
    expect(await ids({ filter: { flow: 'other' } })).toEqual([]);
    expect(await ids({ orderBy: 'NEWEST', filter: { states: ['EXPIRED'] } })).toEqual(['over']);
    const one = `{ review(id: "rev_early") { state priority proposal defaultValue schema reason expiresAt run { id reviews { id } } event { id reviews { id } } } }`;
    expect(await server.data(key, one)).toMatchObject({
      review: {
        state: 'PENDING',
        priority: 5,
        proposal: { amount: 250 },
        defaultValue: { amount: 0 },
        schema,
        reason: 'Look',
        run: { id: 'run_early', reviews: [{ id: 'rev_early' }] },
        event: { id: 'evt_early', reviews: [{ id: 'rev_early' }] },
      },
    });
  });
});

describe('a claim', () => {
  test('ends with the review at the latest', async () => {
    const expiresAt = new Date(wallTimeMs() + 300_000);
    await asks('1', { expiresAt });
    await change('claimReview', { id: 'rev_1', minutes: 60 });
    const { review } = await server.data<{ review: { claimedUntil: string } }>(key, '{ review(id: "rev_1") { claimedUntil } }');
    expect(review.claimedUntil).toBe(expiresAt.toISOString());
  });

  test('keeps everybody else out until it ends, and each change of it is audited', async () => {
    await asks('1');
    expect(await change('claimReview', { id: 'rev_1', reviewer: 'Ada' })).toMatchObject({
      review: { state: 'CLAIMED', claimedBy: expect.stringMatching(/^Ada \(key:/) as string },
    });
    const refused = await change('claimReview', { id: 'rev_1', reviewer: 'Bob' });
    expect(refused).toMatchObject({
      code: 'review.claimed',
      violations: [
        {
          path: ['input', 'id'],
          message: expect.stringMatching(/^names a review that somebody else has: rev_1 is claimed by Ada \(key:/) as string,
        },
      ],
    });
    for (const [name, more] of [
      ['approveReview', {}],
      ['rejectReview', { reason: 'no' }],
      ['correctReview', { value: 1 }],
    ] as const)
      expect(await change(name, { id: 'rev_1', reviewer: 'Bob', idempotencyKey: 'k', ...more })).toMatchObject({ code: 'review.claimed' });
    expect(await change('releaseReview', { id: 'rev_1', reviewer: 'Bob' })).toMatchObject({ code: 'review.claimed' });
    expect(await change('claimReview', { id: 'rev_1', reviewer: 'Ada', minutes: 30 })).toMatchObject({ review: { state: 'CLAIMED' } });
    expect(await change('claimReview', { id: 'rev_1', reviewer: 'Bob', takeOver: true })).toMatchObject({ review: { state: 'CLAIMED' } });
    expect(await change('releaseReview', { id: 'rev_1', reviewer: 'Bob' })).toMatchObject({
      review: { state: 'PENDING', claimedBy: null },
    });
    await change('claimReview', { id: 'rev_1', reviewer: 'Ada' });
    await database.query(lapse, [tenant]);
    expect(await change('claimReview', { id: 'rev_1', reviewer: 'Bob' })).toMatchObject({ review: { state: 'CLAIMED' } });
    const written = await database.query<{ action: string; detail: { by: string; takenFrom?: string } }>(audits, [tenant]);
    expect(written.map(({ action, detail }) => [action, detail.by.slice(0, 3), detail.takenFrom?.slice(0, 3)])).toEqual([
      ['claimReview', 'Ada', undefined],
      ['claimReview', 'Ada', undefined],
      ['claimReview', 'Bob', 'Ada'],
      ['releaseReview', 'Bob', undefined],
      ['claimReview', 'Ada', undefined],
      ['claimReview', 'Bob', undefined],
    ]);
  });

  test('of two people at once goes to one', async () => {
    await asks('1');
    const people = ['Ada', 'Bob', 'Cy', 'Di', 'Ed', 'Flo'];
    const answers = await Promise.all(people.map((reviewer) => change('claimReview', { id: 'rev_1', reviewer })));
    expect(answers.filter(({ review }) => review !== undefined)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === 'review.claimed')).toHaveLength(people.length - 1);
  });
});

describe('a decision', () => {
  test('that approves makes the proposal the value, and ends the wait of the run', async () => {
    await asks('1', { schema });
    const input = { id: 'rev_1', reviewer: 'Ada', reason: 'looks right', idempotencyKey: 'k' };
    const done = await change('approveReview', input);
    expect(done.review).toMatchObject({ state: 'DECIDED', outcome: 'APPROVED', value: { amount: 250 }, decisionReason: 'looks right' });
    expect(await database.query(wait, [tenant, 'run_1'])).toEqual([{ isDue: true }]);
    expect(await change('approveReview', input)).toEqual(done);
    expect(await database.query(audits, [tenant])).toMatchObject([
      { action: 'approveReview', target: 'rev_1', detail: { outcome: 'approved', reason: 'looks right' } },
    ]);
  });

  test('that corrects takes a value that fits the schema, and no other', async () => {
    await asks('1', { schema, proposal: { amount: 900 } });
    const correct = (value: unknown, idempotencyKey: string) => change('correctReview', { id: 'rev_1', value, idempotencyKey });
    expect(await change('approveReview', { id: 'rev_1', idempotencyKey: 'k' })).toMatchObject({
      code: 'review.valueInvalid',
      violations: [{ path: ['input', 'id'], message: 'the proposal does not fit, so it has to be corrected: /amount must be <= 300' }],
    });
    expect(await correct({ amount: 301 }, 'a')).toMatchObject({
      code: 'review.valueInvalid',
      violations: [{ path: ['input', 'value'], message: '/amount must be <= 300' }],
    });
    expect(await correct('x'.repeat(262_143), 'a')).toMatchObject({ code: 'review.valueInvalid' });
    expect((await correct({ amount: 12.5 }, 'a')).review).toMatchObject({ outcome: 'CORRECTED', value: { amount: 12.5 } });
    expect(await correct({ amount: 12.5 }, 'a')).toMatchObject({ review: { outcome: 'CORRECTED' } });
    expect(await correct({ amount: 13 }, 'a')).toMatchObject({ code: 'request.idempotencyMismatch' });
    expect(await correct({ amount: 13 }, 'b')).toMatchObject({ code: 'review.ended' });
  });

  test('that rejects needs words, and makes the default the value', async () => {
    await asks('1');
    expect(await change('rejectReview', { id: 'rev_1', reason: ' ', idempotencyKey: 'k' })).toMatchObject({ code: 'request.invalid' });
    const done = await change('rejectReview', { id: 'rev_1', reason: 'made up', idempotencyKey: 'k' });
    expect(done.review).toMatchObject({ outcome: 'REJECTED', value: { amount: 0 }, decisionReason: 'made up' });
  });

  test('of two people at once is that of one: the other one is told whose it is', async () => {
    await asks('1');
    const decisions = await Promise.all([
      change('approveReview', { id: 'rev_1', reviewer: 'Ada', idempotencyKey: 'a' }),
      change('rejectReview', { id: 'rev_1', reviewer: 'Bob', reason: 'no', idempotencyKey: 'b' }),
      change('correctReview', { id: 'rev_1', reviewer: 'Cy', value: 1, idempotencyKey: 'c' }),
    ]);
    const won = decisions.find(({ review }) => review !== undefined)!;
    const lost = decisions.filter(({ code }) => code === 'review.ended');
    expect(lost).toHaveLength(2);
    for (const { violations } of lost) expect(violations![0]!.message).toContain(`by ${won.review!['decidedBy'] as string} at `);
    expect(await database.query(audits, [tenant])).toHaveLength(1);
  });

  test('is refused for a review that is over or has lost its run', async () => {
    await asks('1', { askedAt: minutesAgo(9), expiresAt: minutesAgo(1) });
    await asks('2');
    await server.rows.endRun(tenant, 'run_2', 'failed', 'run.cancelled');
    const approve = (id: string) => change('approveReview', { id, idempotencyKey: id });
    expect(await approve('rev_1')).toMatchObject({
      code: 'review.ended',
      violations: [{ message: 'names a review that is open no more: rev_1 is expired' }],
    });
    expect(await approve('rev_2')).toMatchObject({
      violations: [{ message: 'names a review that is open no more: rev_2 is withdrawn: its run has ended' }],
    });
    expect(await change('claimReview', { id: 'rev_1' })).toMatchObject({ code: 'review.ended' });
    await asks('3');
    await server.rows.endRun(tenant, 'run_3', 'completed'); // as by the deadline of a caller
    expect(await approve('rev_3')).toMatchObject({ code: 'review.ended' });
  });

  test('stands in the timeline of the event', async () => {
    await asks('1');
    await change('rejectReview', { id: 'rev_1', reviewer: 'Ada', reason: 'made up', idempotencyKey: 'k' });
    await asks('2', { escalated: true });
    const reader = await server.key(tenant, 'read');
    const { event, other } = await server.data<Record<'event' | 'other', { timeline: { kind: string; title: string }[] }>>(
      reader,
      '{ event(id: "evt_1") { timeline { kind title } } other: event(id: "evt_2") { timeline { kind title } } }',
    );
    const told = ({ timeline }: { timeline: { kind: string; title: string }[] }): string[] =>
      timeline.filter(({ kind }) => kind.startsWith('REVIEW_')).map(({ title }) => title.replace(/key:\w+/, 'key'));
    expect(told(event)).toEqual([
      'Step approval asks a person: The amount is high',
      'The review of approval was rejected by Ada (key): made up',
    ]);
    expect(told(other)).toEqual(['Step approval asks a person: The amount is high', 'The review of approval was escalated']);
  });
});

describe('a subscriber', () => {
  interface Heard {
    change: string;
    review: { id: string; state: string };
  }

  async function listen(as: string, filter: object = {}): Promise<Heard[]> {
    const url = `${server.url.replace('http', 'ws')}/graphql`;
    const client = createClient({ url, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${as}` }, retryAttempts: 0 });
    onTestFinished(() => void client.dispose());
    const open = await subscribers();
    const heard: Heard[] = [];
    client.subscribe<{ reviewChanged: Heard }>(
      {
        query: 'subscription ($filter: ReviewChangeFilter) { reviewChanged(filter: $filter) { change review { id state } } }',
        variables: { filter },
      },
      { next: ({ data }) => data && heard.push(data.reviewChanged), error: () => undefined, complete: () => undefined },
    );
    await waitFor(async () => (await subscribers()) > open, { what: 'the subscription to be open' });
    return heard;
  }

  async function subscribers(): Promise<number> {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^millrace_graphql_review_subscribers (\d+)/m.exec(metrics)?.[1]);
  }

  const tell = statement(
    'test.review.tell',
    `SELECT pg_notify('millrace_reviews', concat_ws('/', tenant_id, id, change, (extract(epoch FROM changed_at) * 1000)::bigint)) FROM review WHERE tenant_id = $1`,
  );

  test('hears every change of its tenant, with the review as it is, and nothing of another tenant', async () => {
    await asks('1');
    await asks('2', { flow: 'other' });
    const elsewhere = uniqueName('tenant');
    const [own, ofFlow, others] = [
      await listen(key),
      await listen(key, { flow: 'other' }),
      await listen(await server.key(elsewhere, 'review')),
    ];
    await change('claimReview', { id: 'rev_1' });
    await change('approveReview', { id: 'rev_1', idempotencyKey: 'k' });
    await change('claimReview', { id: 'rev_2' });
    await waitFor(() => own.length === 3 && ofFlow.length === 1, { what: 'the changes' });
    expect(own.map(({ change: what, review }) => [what, review.id])).toEqual([
      ['CLAIMED', 'rev_1'],
      ['DECIDED', 'rev_1'],
      ['CLAIMED', 'rev_2'],
    ]);
    expect(ofFlow).toMatchObject([{ change: 'CLAIMED', review: { id: 'rev_2', state: 'CLAIMED' } }]);
    expect(others).toEqual([]);
  });

  test('hears what changed while the connection to Postgres was broken', async () => {
    await asks('1');
    const heard = await listen(key);
    await database.query(tell, [tenant]);
    await waitFor(() => heard.length === 1, { what: 'the first change' });
    const listeners = statement(
      'test.review.listeners',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%millrace_reviews%'`,
    );
    const own = await TenantDatabase.connect({ url: server.queryUrl, role: 'millrace_query', applicationName: 'test' });
    onTestFinished(() => own.close());
    expect(await own.query(listeners)).toHaveLength(1);
    await change('claimReview', { id: 'rev_1' });
    await waitFor(() => heard.some(({ change: what }) => what === 'CLAIMED'), { what: 'the change meanwhile' });
  });
});
