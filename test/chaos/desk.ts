import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FailingPeer } from './failing-peer.js';
import type { DeskRequest, History, Ticket } from './history.js';
import { EntryList } from './entry-list.js';

/** The body of a case, a note or a record. */
interface DeskBody extends Ticket {
  readonly eventId: string;
  readonly step: string;
}

/**
 * A system that flows read from and act in by operations of a connection. It has an API of each idempotency class that is to be proved: it recognises a case by
 * its `idempotency-key` and answers a repeat from its memory, sets a record to what comes last, and takes each note anew, but can be asked for one.
 * It also has a list that grows and is read in pages. All requests that write are recorded with what came of them, and nothing in the record is ever changed.
 */
export class Desk extends FailingPeer {
  /** Answers by idempotency key. */
  private readonly cases = new Map<string, string>();
  private readonly notes = new Set<string>();
  /** Reads of profiles, and look-ups of notes that found one. */
  readonly reads = { profiles: 0, foundNotes: 0 };

  /** A list that a pull reads. */
  readonly list: EntryList;

  private constructor(private readonly history: History) {
    super();
    this.list = new EntryList(() => history.now());
  }

  static async start(history: History): Promise<Desk> {
    const desk = new Desk(history);
    await desk.listen();
    return desk;
  }

  protected answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const how = this.fault?.how;
    const isTaken = how === undefined || how === 'lost answers';
    const answered = this.act(request, body, isTaken);
    if (how === undefined) respond(response, 200, answered);
    else this.failed(how, response, (status, headers) => respond(response, status, {}, headers));
  }

  /** @param isTaken false: the request is recorded, and has no effect */
  private act({ method, url = '/', headers }: IncomingMessage, body: Buffer, isTaken: boolean): object {
    const { pathname, searchParams } = new URL(url, 'http://desk');
    const [, what, id = ''] = pathname.split('/').map(decodeURIComponent);
    if (method === 'GET' && what === 'entries')
      return this.list.pageAfter(Number(searchParams.get('cursor') ?? searchParams.get('after') ?? 0));
    if (method === 'GET' && what === 'profiles') {
      this.reads.profiles += 1;
      return { customer: id, tier: id.length % 3 };
    }
    if (method === 'GET' && what === 'notes') {
      const isFound = this.notes.has(id);
      if (isFound) this.reads.foundNotes += 1;
      return isFound ? { note: { mark: id } } : {};
    }
    const { customer, lane, sequence, eventId, step } = JSON.parse(body.toString('utf8')) as DeskBody;
    const written = { at: this.history.now(), customer, lane, sequence, eventId, step, bodyHash: hash('sha1', body, 'base64') };
    const add = (more: Pick<DeskRequest, 'what' | 'key' | 'outcome'>): void => void this.history.deskRequests.push({ ...written, ...more });
    if (what === 'cases') {
      const key = headers['idempotency-key'] as string;
      const known = this.cases.get(key);
      const answer = known ?? `case-${this.cases.size + 1}`;
      add({ what: 'case', key, outcome: !isTaken ? 'none' : known === undefined ? 'effect' : 'remembered' });
      if (isTaken) this.cases.set(key, answer);
      return { case: answer };
    }
    const key = what === 'notes' ? (headers['x-mark'] as string) : id;
    add({ what: what === 'notes' ? 'note' : 'record', key, outcome: isTaken ? 'effect' : 'none' });
    if (what === 'notes' && isTaken) this.notes.add(key);
    return { ok: true };
  }
}

function respond(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
