import { createRequire } from 'node:module';
import { CompressionTypes } from 'kafkajs';
import type { Message } from 'kafkajs';
import { wallTimeMs } from '#libs/time';
import type { ProduceRequest, ProducedRecord } from './produce-request.js';

const require = createRequire(import.meta.url);

/**
 * Writes the body of a produce request.
 * @param nowMs the timestamp of all records
 * @param roomBytes bytes left free before the body, in the memory behind the returned buffer
 */
export type EncodeProduceRequest = (request: ProduceRequest, nowMs: number, roomBytes: number) => Buffer;

/** The arguments of a produce request, as kafkajs types them: more than a {@link ProduceRequest} can say. */
interface ProduceArguments extends Omit<ProduceRequest, 'topicData'> {
  compression: CompressionTypes;
  transactionalId?: string;
  topicData: { topic: string; partitions: { partition: number; firstSequence: number; messages: Message[] }[] }[];
}

interface KafkajsRequest {
  apiVersion: number;
  encode(): Promise<Encoder>;
}

interface Encoder {
  buf: Buffer;
  offset: number;
  /** Free bytes in the memory before `buf`; default: none. */
  roomBytes?: number;
}

interface ProduceProtocol {
  protocol: (options: { version: number }) => (produced: ProduceArguments) => { request: KafkajsRequest; response: object };
}

/** Room for the length and the header of a request with a client id of usual length. With a longer one, kafkajs copies the request as it always did. */
const frontBytes = 128;

let isReplaced = false;

/**
 * Makes every kafkajs producer of this process write its requests with `encode`. kafkajs has no option for that, so its own encoder is replaced,
 * once. It allocates a buffer of 512 bytes for each header of each record, and an array for each length: 25 µs per record instead of 4.
 * Requests that `encode` cannot write (compressed, in a transaction, with timestamps or repeated headers) are left to kafkajs.
 */
export function replaceProduceEncoder(encode: EncodeProduceRequest): void {
  if (isReplaced) return;
  isReplaced = true;
  writeRequestsWith(encode);
  prependInPlace();
}

function writeRequestsWith(encode: EncodeProduceRequest): void {
  const definitions = require('kafkajs/src/protocol/requests/produce/index.js') as ProduceProtocol;
  const KafkajsEncoder = require('kafkajs/src/protocol/encoder.js') as new (bytes: number) => Encoder;
  const { protocol } = definitions;
  definitions.protocol = (options) => {
    const make = protocol(options);
    if (options.version !== 7) return make;
    return (produced) => {
      const made = make(produced);
      if (!isPlain(produced)) return made;
      const encodeBody = async (): Promise<Encoder> => {
        const bytes = encode(produced, wallTimeMs(), frontBytes);
        return Object.assign(new KafkajsEncoder(1), { buf: bytes, offset: bytes.length, roomBytes: frontBytes });
      };
      return { ...made, request: { ...made.request, encode: encodeBody } };
    };
  };
}

/**
 * kafkajs prepends the header to a request, and the length to both, by copying everything twice into zero-filled memory. With this, both are
 * written into the room before the body.
 */
function prependInPlace(): void {
  const { prototype } = require('kafkajs/src/protocol/encoder.js') as {
    prototype: { writeEncoder(this: Encoder, body: Encoder): Encoder };
  };
  const writeEncoder = Reflect.get(prototype, 'writeEncoder');
  prototype.writeEncoder = function (body) {
    if (body.roomBytes === undefined || body.roomBytes < this.offset) return writeEncoder.call(this, body);
    const whole = Buffer.from(body.buf.buffer, body.buf.byteOffset - this.offset, this.offset + body.offset);
    this.buf.copy(whole, 0, 0, this.offset);
    return Object.assign(this, { buf: whole, offset: whole.length, roomBytes: body.roomBytes - this.offset });
  };
}

function isPlain(produced: ProduceArguments): produced is ProduceArguments & ProduceRequest {
  if (produced.compression !== CompressionTypes.None || produced.transactionalId !== undefined) return false;
  return produced.topicData.every(({ partitions }) => partitions.every(({ messages }) => messages.every(isPlainRecord)));
}

function isPlainRecord(message: Message): message is Message & ProducedRecord {
  if ('encoded' in message) return true;
  if (message.timestamp !== undefined) return false;
  for (const name in message.headers) if (Array.isArray(message.headers[name])) return false;
  return true;
}
