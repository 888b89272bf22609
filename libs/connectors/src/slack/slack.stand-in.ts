import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { wallTimeMs } from '#libs/time';
import { startStandIn } from '../stand-in.js';
import type { StandInHandler, StandInRequest, StandInResponse, VendorStandIn } from '../stand-in.js';

interface Message {
  readonly ts: string;
  text: string;
  readonly thread_ts?: string;
  readonly metadata?: Json;
}

/** Slack's Web API as far as operations use it: channels with messages, whose metadata can be read back. */
export interface SlackState {
  /** By id, the newest message first. */
  readonly channels: Map<string, Message[]>;
}

export type SlackStandIn = VendorStandIn & SlackState;

const ok = (body: { [field: string]: Json }): StandInResponse => ({ status: 200, body: { ok: true, ...body } });
const no = (error: string): StandInResponse => ({ status: 200, body: { ok: false, error } });

/** The channel that every workspace has. */
export const generalChannel = 'C1';

export async function startSlackStandIn(): Promise<SlackStandIn> {
  const { handle, ...state } = slackStandIn();
  return { ...(await startStandIn(handle)), ...state };
}

export function slackStandIn(): SlackState & { handle: StandInHandler } {
  const channels = new Map<string, Message[]>([[generalChannel, []]]);
  let posted = 0;
  const handle: StandInHandler = (request) => {
    const [, method = ''] = request.segments;
    const given = parametersOf(request);
    if (method === 'auth.test') return ok({ team: 'Acme', user: 'bot' });
    if (method === 'conversations.list') {
      const all = [...channels.keys()];
      const start = Number(given['cursor'] ?? 0);
      const end = start + Number(given['limit'] ?? 100);
      const next_cursor = end < all.length ? String(end) : '';
      return ok({ channels: all.slice(start, end).map((id) => ({ id, name: id })), response_metadata: { next_cursor } });
    }
    if (method === 'users.lookupByEmail') return no('users_not_found');
    const messages = channels.get(textOf(given['channel']));
    if (messages === undefined) return no('channel_not_found');
    const channel = textOf(given['channel']);
    if (method === 'chat.postMessage') {
      posted += 1;
      const message = { ts: `${Math.floor(wallTimeMs() / 1_000)}.${String(posted).padStart(6, '0')}`, text: textOf(given['text']) };
      const { thread_ts, metadata } = given as { thread_ts?: string; metadata?: Json };
      messages.unshift({ ...message, ...(thread_ts === undefined ? {} : { thread_ts }), ...(metadata === undefined ? {} : { metadata }) });
      return ok({ channel, ts: message.ts, message });
    }
    if (method === 'conversations.history' || method === 'conversations.replies') {
      const oldest = Number(given['oldest'] ?? 0);
      const listed = messages.filter(({ thread_ts }) => thread_ts === (method === 'conversations.replies' ? given['ts'] : undefined));
      const shown = given['include_all_metadata'] === 'true' ? listed : listed.map(({ ts, text }) => ({ ts, text }));
      return ok({ messages: shown.filter(({ ts }) => Number(ts) >= oldest).slice(0, Number(given['limit'] ?? 100)) as unknown as Json });
    }
    const message = messages.find(({ ts }) => ts === (given['ts'] ?? given['timestamp']));
    if (message === undefined) return no('message_not_found');
    if (method === 'chat.update') message.text = textOf(given['text']);
    return ok({ channel, ts: message.ts });
  };
  return { handle, channels };
}

/** Slack takes JSON, forms and queries. Its own client sends forms, with JSON in their fields. */
function parametersOf({ headers, body, text, query }: StandInRequest): { [name: string]: Json | undefined } {
  if (headers['content-type']?.startsWith('application/json')) return body as { [name: string]: Json };
  const fields = Object.fromEntries(headers['content-type'] === undefined ? query : new URLSearchParams(text));
  const { metadata } = fields;
  return { ...fields, ...(metadata === undefined ? {} : { metadata: parseJson(metadata) }) };
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
