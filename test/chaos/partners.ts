import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';
import { lanes } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { signStandardWebhook } from '#libs/signatures';
import { SeededRandom } from '#libs/testing';
import { chaosKeys, chaosTenant } from './documents.js';
import { hasNotice, idOf, isActedOn, isFollowedUp, isRecorded, isReviewed } from './history.js';
import type { History, PartnerRequest, Ticket } from './history.js';

export interface PartnersOptions {
  readonly doors: string;
  readonly history: History;
  readonly seed: number;
  readonly rate: number;
  readonly customers: number;
}

/** The events of one customer in one lane. The next one is sent only after the previous one was acknowledged. */
interface Stream {
  readonly customer: string;
  readonly lane: Lane;
  sequence: number;
  /** Due times of the events that are not sent yet. */
  readonly due: number[];
  sending: boolean;
}

/** Longer than ingestion waits for the log. */
const responseDeadlineMs = 7_000;
const repeatAfterMs = 250;
/** Share of the acknowledged events that is sent again. */
const duplicates = 0.03;
/** An event that is sent later than this after it was due counts as late. */
const lateMs = 1_000;
const laneShares: readonly Lane[] = ['high', 'normal', 'normal', 'normal', 'low'];
const tickMs = 10;

const messages = [
  'The invoice is wrong, please look at it.',
  'My parcel has not arrived yet.',
  'The app crashes when I open the settings.',
  'Thank you, the refund came in today.',
];

/**
 * Offers events at a steady rate. Events that are not accepted in time queue up at the partner and are sent in order later. An event that was not
 * acknowledged is sent again with the same id.
 */
export class Partners {
  offered = 0;
  acknowledged = 0;
  late = 0;
  private readonly streams: readonly Stream[];
  private readonly random: SeededRandom;
  private pool: Pool;
  private readonly open = new Set<Promise<unknown>>();
  private timer: NodeJS.Timeout | undefined;
  private startedAt = 0;
  private aborted = false;

  constructor(private readonly options: PartnersOptions) {
    this.random = new SeededRandom(options.seed);
    this.streams = Array.from({ length: options.customers }, (_, index) => `customer-${index}`).flatMap((customer) =>
      lanes.map((lane) => ({ customer, lane, sequence: 0, due: [], sending: false })),
    );
    this.pool = poolOf(options.doors);
  }

  start(): void {
    this.startedAt = this.options.history.now();
    this.timer = setInterval(() => this.offer(), tickMs);
  }

  /** Offers nothing new. */
  stop(): void {
    clearInterval(this.timer);
  }

  /** Resolves when everything that was offered is acknowledged. */
  async finish(): Promise<void> {
    while (this.open.size > 0) await Promise.all(this.open);
  }

  async close(): Promise<void> {
    this.stop();
    this.aborted = true;
    await this.pool.destroy();
  }

  /** Sends to other doors from now on. Requests that are under way end without a response. */
  async redirect(doors: string): Promise<void> {
    const before = this.pool;
    this.pool = poolOf(doors);
    await before.destroy();
  }

  /** Number of events that are not acknowledged yet. */
  get waiting(): number {
    return this.offered - this.acknowledged;
  }

  private offer(): void {
    const now = this.options.history.now();
    for (const until = ((now - this.startedAt) * this.options.rate) / 1_000; this.offered < until; this.offered += 1) {
      const stream = this.randomStream();
      stream.due.push(now);
      if (!stream.sending) this.keep(this.send(stream));
    }
  }

  private randomStream(): Stream {
    const lane = this.random.pick(laneShares);
    return this.streams[this.random.below(this.options.customers) * lanes.length + lanes.indexOf(lane)]!;
  }

  private keep(work: Promise<unknown>): void {
    this.open.add(work);
    void work.finally(() => this.open.delete(work));
  }

  private async send(stream: Stream): Promise<void> {
    stream.sending = true;
    for (let due = stream.due.shift(); due !== undefined && !this.aborted; due = stream.due.shift()) {
      stream.sequence += 1;
      const ticket = { customer: stream.customer, lane: stream.lane, sequence: stream.sequence };
      if (this.options.history.now() - due > lateMs) this.late += 1;
      await this.sendUntilAcknowledged(ticket);
      if (this.random.next() < duplicates) this.keep(this.sendAgain(ticket, this.random.between(0, 3_000)));
    }
    stream.sending = false;
  }

  private async sendUntilAcknowledged(ticket: Ticket): Promise<void> {
    let { outcome } = await this.post(ticket, 'first');
    while (outcome !== 'ok' && !this.aborted) {
      await pause(repeatAfterMs);
      ({ outcome } = await this.post(ticket, 'repeat'));
    }
    this.acknowledged += 1;
  }

  private async sendAgain(ticket: Ticket, afterMs: number): Promise<void> {
    await pause(afterMs);
    await this.post(ticket, 'duplicate');
  }

  private async post(ticket: Ticket, why: PartnerRequest['why']): Promise<PartnerRequest> {
    const { history } = this.options;
    const at = history.now();
    const request = { ...ticket, why, at, ...(await this.exchange(ticket)), endedAt: history.now() };
    history.requests.push(request);
    return request;
  }

  private async exchange(ticket: Ticket): Promise<Pick<PartnerRequest, 'outcome' | 'response' | 'eventId'>> {
    try {
      const { statusCode, body } = await this.pool.request({
        path: `/webhooks/${chaosTenant}.partner`,
        method: 'POST',
        ...signed(ticket),
      });
      const text = await body.text();
      if (statusCode !== 200) return { outcome: 'info', response: String(statusCode), eventId: null };
      return { outcome: 'ok', response: '200', eventId: (JSON.parse(text) as { eventIds: [string] }).eventIds[0] };
    } catch (error) {
      const code = (error as { code?: string }).code ?? String(error);
      return { outcome: code === 'ECONNREFUSED' ? 'fail' : 'info', response: code, eventId: null };
    }
  }
}

function poolOf(doors: string): Pool {
  return new Pool(doors, {
    connections: 256,
    connectTimeout: 2_000,
    headersTimeout: responseDeadlineMs,
    bodyTimeout: responseDeadlineMs,
  });
}

function signed(ticket: Ticket): { body: string; headers: Record<string, string> } {
  const { lane, sequence } = ticket;
  const data = {
    ...ticket,
    copy: sequence % 5 === 0,
    notice: hasNotice(ticket),
    act: isActedOn(ticket),
    record: isRecorded(ticket),
    followUp: isFollowedUp(ticket),
    review: isReviewed(ticket),
    message: messages[sequence % messages.length],
  };
  const body = JSON.stringify({ type: `ticket.${lane}`, timestamp: '2026-11-21T09:00:00Z', data });
  const signature = signStandardWebhook(chaosKeys.partner, { id: idOf(ticket), timestampSeconds: Math.floor(Date.now() / 1_000), body });
  return { body, headers: { 'content-type': 'application/json', ...signature } };
}
