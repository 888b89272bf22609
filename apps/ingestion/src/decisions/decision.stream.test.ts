import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { EventReceived } from '#libs/contracts';
import type { DoorResponse } from '#libs/service';
import { waitFor } from '#libs/testing';
import { registry } from '#libs/tracing';
import { DecisionStreams, prefersStream } from './decision.stream.js';
import { Drafts } from './drafts.js';

const event = { tenant: 'acme', eventId: 'evt_1' } as EventReceived;
const decided: DoorResponse = { status: 200, body: { eventId: 'evt_1', decision: 7, default: false, reason: null } };
const lastDecision = `event: decision\ndata: ${JSON.stringify(decided.body)}\n\n`;
const begin = 'event: accepted\ndata: {"jobId":"job_1"}\n\n';

let drafts: Drafts;
let streams: DecisionStreams;
let answer: PromiseWithResolvers<DoorResponse>;
let ended: number;
beforeEach(() => {
  drafts = new Drafts();
  streams = new DecisionStreams(drafts);
  answer = Promise.withResolvers();
  ended = 0;
});
afterEach(() => void vi.useRealTimers());

let at: number;
const write = (text: string, number = 1): void => {
  drafts.take({ tenant: 'acme', customer: 'c-1', eventId: 'evt_1', fence: 1, number, at, text });
  at += text.length;
};
beforeEach(() => (at = 0));

const follow = (body: Writable, lastEventId?: string): Promise<void> =>
  streams.respond({ event, lastEventId, accepted: { jobId: 'job_1' }, answer: answer.promise }, {}, () => (ended += 1)).write(body);

/** A body whose caller reads when the test says so. */
class Body extends Writable {
  text = '';
  private reading: (() => void) | undefined = undefined;
  isReading = true;

  constructor() {
    super({ highWaterMark: 1_024, decodeStrings: false });
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    if (this.isReading) setImmediate(done);
    else this.reading = done;
  }

  read(): void {
    this.isReading = true;
    this.reading?.();
  }
}

describe('a stream', () => {
  it('says first that the request is accepted, then what the model writes as it comes, and last the decision', async () => {
    const body = new Body();
    const stream = follow(body);
    write('{"a"');
    await waitFor(() => body.text.includes('{\\"a\\"'), { what: 'the first part' });
    write(':1}');
    await waitFor(() => body.text.includes(':1}'), { what: 'the second part' });
    answer.resolve(decided);
    await stream;
    expect(body.text).toBe(
      `${begin}id: 1.1.4\nevent: draft\ndata: {"at":0,"text":"{\\"a\\""}\n\nid: 1.1.7\nevent: draft\ndata: {"at":4,"text":":1}"}\n\n${lastDecision}`,
    );
    expect(ended).toBe(1);
  });

  it('has the whole draft before the decision where both come at once, and nothing after it', async () => {
    const body = new Body();
    write('x'.repeat(20_000));
    answer.resolve(decided);
    await follow(body);
    write('too late');
    expect([...body.text.matchAll(/"text":"(x*)"/g)].map(([, text]) => text!.length).reduce((a, b) => a + b)).toBe(20_000);
    expect(body.text.endsWith(lastDecision)).toBe(true);
  });

  it('says that the draft is void', async () => {
    const body = new Body();
    const stream = follow(body);
    write('one');
    await waitFor(() => body.text.includes('one'), { what: 'the draft' });
    at = 0;
    write('', 2);
    await waitFor(() => body.text.endsWith('id: 1.2.0\nevent: restart\ndata: {}\n\n'), { what: 'the restart' });
    answer.resolve(decided);
    await stream;
  });

  it.each<[string, () => Promise<DoorResponse>, string]>([
    ['a job', () => Promise.resolve({ status: 202, body: { jobId: 'job_1' } }), 'event: job\ndata: {"jobId":"job_1"}\n\n'],
    ['a problem', () => Promise.reject(new Error('secret')), 'event: problem\ndata: {"type":'],
  ])('can end with %s', async (_, end, text) => {
    const body = new Body();
    answer.resolve(end());
    await follow(body);
    expect(body.text.slice(begin.length)).toContain(text);
    expect(body.text).not.toContain('secret');
  });

  it.each([
    ['what follows the last event of an earlier one', '1.1.4', ['draft 4 5678']],
    ['a restart where another draft was begun meanwhile', '1.0.4', ['restart', 'draft 0 12345678']],
    ['a restart for an id that no event had', 'nonsense', ['restart', 'draft 0 12345678']],
    ['nothing again', '1.1.8', []],
  ])('goes on with %s', async (_, lastEventId, expected) => {
    const body = new Body();
    write('12345678');
    answer.resolve(decided);
    await follow(body, lastEventId);
    const events = [...body.text.matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(([, kind, data]) => {
      const { at: place, text } = JSON.parse(data!) as { at?: number; text?: string };
      return [kind, place, text].filter((one) => one !== undefined).join(' ');
    });
    expect(events).toEqual(['accepted', ...expected, 'decision']);
  });

  it('keeps no more than an event and the buffer of the connection for a caller who does not read, who then gets the rest together', async () => {
    const body = new Body();
    body.isReading = false;
    const stream = follow(body);
    for (let part = 0; part < 500; part += 1) {
      write('x'.repeat(100));
      if (part % 50 === 0) await new Promise(setImmediate);
    }
    expect(body.writableLength).toBeLessThan(6_000);
    body.read();
    await waitFor(() => body.text.includes('"at":45'), { what: 'the last piece' });
    answer.resolve(decided);
    await stream;
    const pieces = [...body.text.matchAll(/"text":"(x*)"/g)].map(([, text]) => text!.length);
    expect(pieces.reduce((a, b) => a + b)).toBe(50_000);
    expect(pieces.length).toBeLessThan(40);
  });

  it('skips what a caller has not read soon after the decision, says how much, and still tells the decision', async () => {
    const body = new Body();
    body.isReading = false;
    write('x'.repeat(50_000));
    const stream = follow(body);
    answer.resolve(decided);
    await waitFor(() => body.writableEnded, { what: 'the end to be written' });
    body.read();
    await stream;
    const skipped = /event: skipped\ndata: (.*)\n/.exec(body.text)![1]!;
    const got = [...body.text.matchAll(/"text":"(x*)"/g)].map(([, text]) => text!.length).reduce((a, b) => a + b);
    expect(JSON.parse(skipped)).toEqual({ at: got, characters: 50_000 - got });
    expect(body.text.endsWith(lastDecision)).toBe(true);
  });

  it('ends when the caller leaves, and when one never reads the end', async () => {
    const left = new Body();
    const leaving = follow(left);
    left.destroy();
    await leaving;
    expect(ended).toBe(1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const stuck = new Body();
    stuck.isReading = false;
    const waiting = follow(stuck);
    answer.resolve(decided);
    await vi.waitUntil(() => vi.getTimerCount() > 0);
    await vi.advanceTimersByTimeAsync(300);
    expect(stuck.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(10_000);
    await waiting;
    expect([stuck.destroyed, ended]).toEqual([true, 2]);
  });

  it('sends comments while there is nothing to tell', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const body = new Body();
    const stream = follow(body);
    await vi.advanceTimersByTimeAsync(10_000);
    answer.resolve(decided);
    await stream;
    expect(body.text).toBe(`${begin}:\n\n:\n\n${lastDecision}`);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('over a real connection', () => {
  let server: Server;
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('a caller who reads nothing holds little memory, and the process goes on', async () => {
    let length = 0;
    server = createServer((_request, response) => {
      void follow(response);
      const look = setInterval(() => (length = Math.max(length, response.writableLength)), 1);
      response.on('close', () => clearInterval(look));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await waitFor(async () => (await metricOf('millrace_decision_streams_open')) === 1, { what: 'the stream' });
    for (let number = 1; number <= 200; number += 1) {
      at = 0;
      write('x'.repeat(200_000), number);
      await new Promise(setImmediate);
    }
    expect(length).toBeLessThan(100_000);
    socket.destroy();
    await waitFor(() => ended === 1, { what: 'the stream to end' });
  });
});

async function metricOf(name: string): Promise<number> {
  const { values } = (await registry.getSingleMetric(name)!.get()) as { values: { value: number }[] };
  return values.reduce((sum, { value }) => sum + value, 0);
}

test.each([
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['application/json', false],
  ['text/event-stream', true],
  ['Text/Event-Stream; charset=utf-8', true],
  ['text/event-stream, */*;q=0.1', true],
  ['text/event-stream, application/json', true],
  ['application/json, text/event-stream', false],
  ['application/json;q=0.5, text/event-stream', true],
  ['application/json, text/event-stream;q=0.9', false],
  ['text/event-stream;q=0', false],
  ['text/event-stream;q=x', false],
  ['text/html, text/event-stream', true],
])('of a caller who accepts %j, a stream is preferred: %s', (accept, expected) => {
  expect(prefersStream(accept)).toBe(expected);
});
