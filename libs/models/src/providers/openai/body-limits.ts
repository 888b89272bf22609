import { TransformStream } from 'node:stream/web';
import { ModelAnswerTooLarge, ModelMisconfigured } from '../../model.errors.js';
import type { ModelFailure } from '../../model.errors.js';

/**
 * The limit of a body, and of one event of a stream: both are held in memory. The gateway asks for at most 128,000 output tokens, and this is 64 bytes for
 * each: ten times what a token of plain text takes, so that escaped text and the model's reasoning fit as well.
 */
export const mostHeldBytes = 8 * 1024 ** 2;
/** The limit of a whole event stream, which is passed on: 512 bytes for each of the 128,000 tokens, because every token may come in an event of its own. */
export const mostStreamBytes = 64 * 1024 ** 2;
/** The limit of the body of an error. Its status says the most, and of its text a few hundred characters are kept. */
export const mostErrorBytes = 64 * 1024;

const page = /^\s*<(?:!doctype|html|\?xml)/i;
/** Enough of a body to tell whether it is a web page. */
export const pageStartBytes = 200;

/** The failure of a request that a web page answers. */
export function pageAnswers(providerRequestId: string | undefined): ModelMisconfigured {
  return new ModelMisconfigured('A web page answers there, and no model API', { providerRequestId });
}

/** True if the text is a web page or another document in XML, which no model API answers with. */
export function isPage(text: string): boolean {
  return page.test(text);
}

/**
 * Reads a body of at most {@link mostHeldBytes}. A larger one is not read further, and its connection is closed.
 * @throws ModelAnswerTooLarge; ModelMisconfigured if it is a web page
 */
export async function readBody(body: AsyncIterable<Uint8Array>, providerRequestId: string | undefined): Promise<Buffer<ArrayBuffer>> {
  const { bytes, isWhole } = await readUpTo(mostHeldBytes, body);
  if (!isWhole) throw cutOff(bytes, providerRequestId);
  return bytes;
}

/** The failure of a body over {@link mostHeldBytes}, by its start. */
export function cutOff(start: Buffer, providerRequestId: string | undefined): ModelFailure {
  return isPage(start.toString('utf8', 0, pageStartBytes)) ? pageAnswers(providerRequestId) : tooLarge(mostHeldBytes, providerRequestId);
}

/** The start of a body, at most {@link mostErrorBytes}. A larger one is not read further, and its connection is closed. */
export async function startOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const { bytes } = await readUpTo(mostErrorBytes, body);
  return bytes.toString('utf8');
}

async function readUpTo(limit: number, body: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer<ArrayBuffer>; isWhole: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) return { bytes: Buffer.concat(chunks, limit), isWhole: false }; // leaving the loop destroys the body and its connection
  }
  return { bytes: Buffer.concat(chunks, length), isWhole: true };
}

/** Passes an event stream on up to {@link mostStreamBytes}, with no event over {@link mostHeldBytes}, then fails. The SDK holds an event until it ends. */
export function limitedEvents(providerRequestId: string | undefined): TransformStream<Uint8Array, Uint8Array> {
  let streamBytes = 0;
  let eventBytes = 0;
  let lastByte: number | undefined;
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const startsEvent = lastByte === lineFeed && (chunk[0] === lineFeed || chunk[0] === carriageReturn);
      const eventStart = startOfLastEvent(chunk);
      streamBytes += chunk.length;
      eventBytes = eventStart === undefined ? chunk.length + (startsEvent ? 0 : eventBytes) : chunk.length - eventStart;
      lastByte = chunk.at(-1) ?? lastByte;
      if (eventBytes > mostHeldBytes) throw tooLarge(mostHeldBytes, providerRequestId);
      if (streamBytes > mostStreamBytes) throw tooLarge(mostStreamBytes, providerRequestId);
      controller.enqueue(chunk);
    },
  });
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** The index after the last empty line of the chunk; undefined if there is none. */
function startOfLastEvent(chunk: Uint8Array): number | undefined {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  const emptyLine = Math.max(bytes.lastIndexOf('\n\n'), bytes.lastIndexOf('\n\r\n'));
  return emptyLine < 0 ? undefined : emptyLine + 2;
}

function tooLarge(limit: number, providerRequestId: string | undefined): ModelAnswerTooLarge {
  return new ModelAnswerTooLarge(`The answer is larger than ${limit / 1024 ** 2} MiB, and was not read further`, { providerRequestId });
}
