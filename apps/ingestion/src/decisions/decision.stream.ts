import type { Writable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import type { EventReceived } from '#libs/contracts';
import { problemOf } from '#libs/service';
import type { DoorResponse, DoorStream } from '#libs/service';
import { startInterval, startTimer } from '#libs/time';
import { counter, gauge } from '#libs/tracing';
import { Drafts } from './drafts.js';
import type { DraftNews, DraftPlace } from './drafts.js';

/** A comment is sent so often, so that no proxy takes the connection for an idle one. */
const commentEveryMs = 5_000;
/** The time that a caller has to read the rest of the draft when the decision is known, ms. What it has not read then is skipped. */
const catchUpMs = 200;
/** The time in which a caller has to read what it was sent last, ms. Longer ago, its connection is closed. */
const readWithinMs = 10_000;

const streams = gauge('millrace_decision_streams_open', 'Callers who follow drafts while they wait.', {});
const resumed = counter('millrace_decision_streams_resumed_total', 'Streams that went on from the last event of an earlier one.', {
  from: ['memory', 'later'],
});

/** True if an event stream is what the caller accepts best. Where JSON is as good, the one that is named first counts. */
export function prefersStream(accept: string | undefined): boolean {
  const ranges = (accept ?? '').toLowerCase().split(',').map(rangeOf);
  const best = ranges.toSorted((a, b) => b.quality - a.quality).find(({ type }) => answerTypes.has(type));
  return best?.type === eventStream && best.quality > 0;
}

const eventStream = 'text/event-stream';
const answerTypes = new Set([eventStream, 'application/json', 'application/*', '*/*']);

function rangeOf(range: string): { type: string; quality: number } {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return { type, quality: Number.isNaN(quality) ? 0 : quality };
}

/** A caller who follows the draft of its event. */
export interface Follower {
  readonly event: EventReceived;
  /** The header `Last-Event-ID`. */
  readonly lastEventId: string | undefined;
  /** The first event, told at once. */
  readonly accepted: object;
  /** Resolves with the last event. */
  readonly answer: Promise<DoorResponse>;
}

/** Tells callers what models write, and in the end what counts, as server-sent events. */
@Injectable()
export class DecisionStreams {
  private open = 0;

  constructor(private readonly drafts: Drafts) {}

  /** @param ended called when the connection is not used any more */
  respond(follower: Follower, headers: Readonly<Record<string, string>>, ended: () => void): DoorStream {
    follower.answer.catch(() => undefined); // it is told when the stream has begun
    return {
      status: 200,
      headers: {
        'content-type': `${eventStream}; charset=utf-8`,
        'cache-control': 'no-store',
        'x-accel-buffering': 'no', // nginx would hold events back
        ...headers,
      },
      write: async (body) => {
        streams.set((this.open += 1));
        try {
          await this.write(follower, body);
        } finally {
          streams.set((this.open -= 1));
          ended();
        }
      },
    };
  }

  /** Writes what there is to tell whenever the caller has read what was written before, so no more than one event waits for it. */
  private async write(follower: Follower, body: Writable): Promise<void> {
    const { event, lastEventId, accepted } = follower;
    const { tenant, eventId } = event;
    const news = new News();
    body.on('drain', news.came).on('close', news.came);
    using _listening = this.drafts.listen(tenant, eventId, news.came);
    let last: string | undefined;
    let isLate = false;
    let patience: NodeJS.Timeout | undefined;
    void lastEvent(follower.answer).then((text) => {
      last = text;
      news.came();
    });
    const comments = startInterval(() => body.writableNeedDrain || body.write(':\n\n'), commentEveryMs);
    try {
      let place = placeOf(lastEventId);
      if (lastEventId !== undefined) resumed.inc({ from: this.drafts.isKnown(tenant, eventId) ? 'memory' : 'later' });
      body.write(eventText('accepted', accepted));
      while (!body.destroyed) {
        const next = body.writableNeedDrain ? undefined : this.drafts.after(tenant, eventId, place);
        if (next !== undefined) {
          place = next.place;
          body.write(newsText(next));
        } else if (last === undefined) {
          await news.next();
        } else if (body.writableNeedDrain && !isLate) {
          patience ??= startTimer(() => {
            isLate = true;
            news.came();
          }, catchUpMs);
          await news.next();
        } else {
          const rest = this.drafts.rest(tenant, eventId, place);
          if (rest !== undefined) body.write(newsText(rest));
          body.end(last);
          break;
        }
      }
    } finally {
      clearInterval(comments);
      clearTimeout(patience);
    }
    await readOrClosed(body, news);
  }
}

/** Wakes who waits for something new, also if it came before. */
class News {
  private coming = Promise.withResolvers<void>();

  readonly came = (): void => this.coming.resolve();

  async next(): Promise<void> {
    await this.coming.promise;
    this.coming = Promise.withResolvers();
  }
}

/** Waits until the caller has read everything. One that does not loses its connection. */
async function readOrClosed(body: Writable, news: News): Promise<void> {
  const limit = startTimer(() => body.destroy(), readWithinMs);
  while (!body.closed) await news.next();
  clearTimeout(limit);
}

async function lastEvent(answer: Promise<DoorResponse>): Promise<string> {
  try {
    const { status, body } = await answer;
    return eventText(status === 200 ? 'decision' : 'job', body as object);
  } catch (error) {
    return eventText('problem', problemOf(error, { method: 'POST', route: '/v1/decisions/:flow' }).problem);
  }
}

function newsText({ kind, place, ...data }: DraftNews): string {
  return `id: ${place.fence}.${place.number}.${place.at}\n${eventText(kind, data)}`;
}

function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The place after an event with this id. An id that no event had is that of a void draft. */
function placeOf(lastEventId: string | undefined): DraftPlace | undefined {
  if (lastEventId === undefined) return undefined;
  const [, fence, number, at] = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})$/.exec(lastEventId) ?? [];
  return { fence: Number(fence ?? 0), number: Number(number ?? 0), at: Number(at ?? 0) };
}
