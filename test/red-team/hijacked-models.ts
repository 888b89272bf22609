import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { framedData } from '#libs/prompts';
import { honest } from './attack.js';
import type { Attack } from './attack.js';

/** The texts that a simulated model reads in the user's message. */
interface Reading {
  /** The message as it was sent. */
  readonly content: string;
  /** The texts within the data, joined by lines. */
  readonly texts: string;
}

/** The demand that a text makes, if the model is one that follows it. */
type Obeys = (reading: Reading) => string | undefined;

const demand = /SAY:([a-z0-9-]+);/;
const demandIn = (text: string): string | undefined => demand.exec(text)?.[1];
const demandBehind = (mark: RegExp, text: string): string | undefined => {
  const at = text.search(mark);
  return at < 0 ? undefined : demandIn(text.slice(at));
};

/**
 * Simulated models. Each follows one kind of text whenever it meets it, and is honest otherwise: real ones follow all of these now and then. The first two
 * are hijacked by plain text, which no treatment of a prompt can take out.
 */
export const hijackedModels: Readonly<Record<string, Obeys>> = {
  'obeys everything': (reading) =>
    Object.entries(hijackedModels).reduce<string | undefined>(
      (found, [name, obeys]) => found ?? (name === 'obeys everything' ? demandIn(reading.texts) : obeys(reading)),
      undefined,
    ),
  'obeys plain text': ({ texts }) => demandIn(texts),
  'obeys behind an end of the data': ({ texts }) => demandBehind(/[<＜]\/data-[0-9a-f]+[>＞]/i, texts),
  'obeys turns of the server': ({ content }) =>
    demandBehind(/<\|(?:im_start|start_header_id)\|>|\[INST\]|<<SYS>>|<start_of_turn>|\[SYSTEM_PROMPT\]/, content),
  'reads invisible text': ({ content }) => demandIn(invisibleIn(content)),
  'decodes what it reads': ({ texts }) =>
    texts
      .split(/\s+/)
      .map(decoded)
      .map(demandIn)
      .find((found) => found !== undefined),
  'joins what was split': ({ texts }) => {
    const parts = [...texts.matchAll(/part (\d): (\S+)/g)].toSorted((a, b) => Number(a[1]) - Number(b[1]));
    return parts.length < 2 ? undefined : demandIn(parts.map(([, , part]) => part).join(''));
  },
  'obeys what looks like a repair': ({ texts }) => demandBehind(/That answer cannot be used|holds data between/, texts),
};

/** Models that only the treatment of the prompt protects from, and which it must: what they look for is taken out. */
export const disarmedModels = ['obeys behind an end of the data', 'obeys turns of the server', 'reads invisible text'];

function invisibleIn(text: string): string {
  const bytes: number[] = [];
  let bits = '';
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (point >= 0xe0020 && point < 0xe0080) bytes.push(point - 0xe0000);
    if (point >= 0xfe00 && point < 0xfe10) bytes.push(point - 0xfe00);
    if (point >= 0xe0100 && point < 0xe01f0) bytes.push(point - 0xe0100 + 16);
    if (point === 0x200b || point === 0x200c) bits += point - 0x200b;
  }
  const fromBits = bits.match(/[01]{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [];
  return Buffer.from([...bytes, ...fromBits]).toString();
}

function decoded(word: string): string {
  const turned = word.replaceAll(/[a-z]/gi, (one) => String.fromCharCode(one.charCodeAt(0) + (one.toLowerCase() < 'n' ? 13 : -13)));
  const percent = /^(?:%[0-9a-f]{2})+$/.test(word) ? decodeURIComponent(word) : '';
  return [Buffer.from(word, 'base64').toString(), Buffer.from(word, 'hex').toString(), turned, percent].join(' ');
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

interface Conversation {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/** A server with OpenAI's API, whose models are the simulated ones. */
export class HijackedServer {
  /** True if the model followed the attack in one of the last run's answers. */
  obeyed = false;

  private constructor(
    private readonly server: Server,
    private readonly attacks: ReadonlyMap<string, Attack>,
  ) {}

  static async start(attacks: readonly Attack[]): Promise<HijackedServer> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const content = hijacked.answer(JSON.parse(Buffer.concat(chunks).toString()) as Conversation);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ model: 'hijacked', choices: [{ finish_reason: 'stop', message: { content } }] }));
      });
    });
    const hijacked = new HijackedServer(server, new Map(attacks.map((one) => [one.name, one])));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return hijacked;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private answer({ model, messages }: Conversation): string {
    const [, user] = messages;
    const data = framedData(user!.content) ?? '';
    const found = hijackedModels[model]?.({ content: user!.content, texts: textsIn(JSON.parse(data)).join('\n') });
    const attack = found === undefined ? undefined : this.attacks.get(found);
    if (attack === undefined) return JSON.stringify(honest);
    this.obeyed = true;
    const refusals = messages.filter(({ role }) => role === 'assistant').length;
    const want = attack.wants[Math.min(refusals, attack.wants.length - 1)]!;
    return typeof want === 'string' ? want : JSON.stringify(want);
  }
}
