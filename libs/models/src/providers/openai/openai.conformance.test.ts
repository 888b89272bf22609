import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { modelProviderConformance, standInAnswer, standInPauseMs } from '../../model-provider.conformance.js';
import type { ProviderStandIn, StandInBehaviour } from '../../model-provider.conformance.js';
import { OpenAiProvider } from './openai.provider.js';

const { pieces, model, models, usage, requestId, limits, refusal } = standInAnswer;
const whole = pieces.join('');

type Ending = Extract<StandInBehaviour, 'answers' | 'truncates' | 'declines'>;

/** Bodies and events of one of the two APIs. */
interface Wire {
  body(ending: Ending): object;
  /** The events before, around and after the text. */
  piece(text: string): object;
  refusal(text: string): object;
  end(ending: Ending): (object | '[DONE]')[];
  error(code: string): object;
}

const chatUsage = { prompt_tokens: usage.inputTokens, completion_tokens: usage.outputTokens };
const chatFinish = (ending: Ending): string => (ending === 'truncates' ? 'length' : 'stop');
const chunk = (choice: object): object => ({ model, choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }], usage: null });

const chat: Wire = {
  body: (ending) => {
    const message = ending === 'declines' ? { content: null, refusal } : { content: whole, refusal: null };
    return { model, choices: [{ finish_reason: chatFinish(ending), message }], usage: chatUsage };
  },
  piece: (content) => chunk({ delta: { content } }),
  refusal: (text) => chunk({ delta: { refusal: text } }),
  end: (ending) => [chunk({ finish_reason: chatFinish(ending) }), { model, choices: [], usage: chatUsage }, '[DONE]'],
  error: (code) => ({ error: { message: 'scripted', type: 'test', code } }),
};

const response = (ending: Ending): object => ({
  object: 'response',
  model,
  error: null,
  incomplete_details: ending === 'truncates' ? { reason: 'max_output_tokens' } : null,
  output: [
    {
      type: 'message',
      role: 'assistant',
      content: [ending === 'declines' ? { type: 'refusal', refusal } : { type: 'output_text', text: whole, annotations: [] }],
    },
  ],
  usage: { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens },
});

const responses: Wire = {
  body: response,
  piece: (delta) => ({ type: 'response.output_text.delta', delta }),
  refusal: (delta) => ({ type: 'response.refusal.delta', delta }),
  end: (ending) => [{ type: ending === 'truncates' ? 'response.incomplete' : 'response.completed', response: response(ending) }],
  error: (code) => ({ type: 'response.failed', response: { ...response('answers'), error: { code, message: 'scripted' } } }),
};

function sendJson(to: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  to.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function sendError(to: ServerResponse, status: number, code: string | null = null, headers: Record<string, string> = {}): void {
  sendJson(to, status, { error: { message: 'scripted', type: 'test', code } }, headers);
}

function sendEvent(to: ServerResponse, event: object | '[DONE]', written?: () => void): void {
  const name = typeof event === 'object' && 'type' in event ? `event: ${String(event.type)}\n` : '';
  to.write(`${name}data: ${event === '[DONE]' ? event : JSON.stringify(event)}\n\n`, written);
}

function openStream(to: ServerResponse): void {
  to.writeHead(200, { 'content-type': 'text/event-stream' });
}

function sendWhole(to: ServerResponse, wire: Wire, ending: Ending, streamed: boolean): void {
  if (!streamed) return sendJson(to, 200, wire.body(ending));
  openStream(to);
  const parts = ending === 'declines' ? [wire.refusal(refusal)] : pieces.map((piece) => wire.piece(piece));
  for (const event of [...parts, ...wire.end(ending)]) sendEvent(to, event);
  to.end();
}

function sendModels(to: ServerResponse, ids: readonly string[]): void {
  sendJson(to, 200, { object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 0, owned_by: 'stand-in' })) });
}

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(65_536);
}

function respond(to: ServerResponse, wire: Wire, behaviour: StandInBehaviour, asked: 'models' | 'whole' | 'streamed'): void {
  const streamed = asked === 'streamed';
  to.setHeader('x-request-id', requestId);
  to.setHeader('x-ratelimit-limit-requests', String(limits.requestsPerMinute));
  const afterPiece = (then: () => void): void => {
    openStream(to);
    sendEvent(to, wire.piece(pieces[0]), then);
  };
  const reportAfterPiece = (code: string): void =>
    afterPiece(() => {
      sendEvent(to, wire.error(code));
      to.end();
    });
  const play: Record<StandInBehaviour, () => unknown> = {
    answers: () => (asked === 'models' ? sendModels(to, models) : sendWhole(to, wire, 'answers', streamed)),
    'lists nothing': () => sendModels(to, []),
    truncates: () => sendWhole(to, wire, 'truncates', streamed),
    declines: () => sendWhole(to, wire, 'declines', streamed),
    hangs: () => undefined,
    'stalls after a piece': () => afterPiece(() => undefined),
    'is overloaded': () => sendError(to, 503),
    'drops the connection': () => to.destroy(),
    'sends garbage': () => to.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' }).end('data: {{{\n\n'),
    'limits the rate': () => sendError(to, 429, null, { 'retry-after': String(standInPauseMs / 1_000) }),
    'refuses the key': () => sendError(to, 401),
    'has no credit left': () => sendError(to, 429, 'insufficient_quota'),
    'rejects the request': () => sendError(to, 400),
    'has no such path': () => to.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found'),
    redirects: () => to.writeHead(302, { location: '/login' }).end(),
    'answers with a web page': () => to.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Welcome</title>'),
    'answers with nothing': () => to.writeHead(200).end(),
    'answers with text': () => to.writeHead(200, { 'content-type': 'text/plain' }).end('thanks'),
    'answers with other JSON': () => sendJson(to, 200, {}),
    'answers with a message': () => sendJson(to, 200, { message: 'received' }),
    'answers with a compressed body': () => to.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
    'answers without end': () =>
      Readable.from(endless())
        .on('error', () => undefined)
        .pipe(to.writeHead(200)),
    'drops the connection after a piece': () => afterPiece(() => to.destroy()),
    'closes the stream after a piece': () => afterPiece(() => to.end()),
    'reports its own failure after a piece': () => reportAfterPiece('server_error'),
    'reports a rate limit after a piece': () => reportAfterPiece('rate_limit_exceeded'),
  };
  play[behaviour]();
}

function askedFor({ method, url }: IncomingMessage, body: Buffer): 'models' | 'whole' | 'streamed' {
  if (method === 'GET' && url === '/v1/models') return 'models';
  return (JSON.parse(body.toString()) as { stream?: boolean }).stream === true ? 'streamed' : 'whole';
}

async function startStandIn(wire: Wire): Promise<ProviderStandIn> {
  let behaviour: StandInBehaviour = 'answers';
  let calls = 0;
  let abandoned = 0;
  const server = createServer((request, to) => {
    const body: Buffer[] = [];
    request.on('data', (bytes: Buffer) => body.push(bytes));
    to.on('close', () => (abandoned += to.writableEnded ? 0 : 1));
    request.on('end', () => {
      calls += 1;
      respond(to, wire, behaviour, askedFor(request, Buffer.concat(body)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    behave: (next) => (behaviour = next),
    get calls() {
      return calls;
    },
    get abandoned() {
      return abandoned;
    },
    stop: async () => {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

for (const [api, wire] of [['chat', chat] as const, ['responses', responses] as const]) {
  modelProviderConformance({
    name: `openai (${api})`,
    create: (baseUrl) => new OpenAiProvider({ baseUrl, apiKey: 'key', api }),
    startStandIn: () => startStandIn(wire),
  });
}
