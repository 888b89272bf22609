import type { Socket } from 'node:net';
import type { Broker } from './apis/api.js';
import { apiVersionsKey, apis, supportedVersions } from './apis/apis.js';
import { errorCodes } from './wire/error-codes.js';
import { WireReader } from './wire/wire-reader.js';
import { WireWriter } from './wire/wire-writer.js';

/** Kafka's default of `socket.request.max.bytes`. */
const maxRequestBytes = 100 * 1_048_576;

/** Handles the requests of one connection one after the other: Kafka guarantees responses in request order. */
export async function serveConnection(socket: Socket, broker: Broker): Promise<void> {
  socket.setNoDelay(true);
  for await (const request of requests(socket)) {
    const response = await respond(request, broker);
    if (response !== undefined) await send(socket, response);
  }
}

/** Splits the stream into requests: four bytes of length, then the request. */
async function* requests(socket: Socket): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let received = 0;
  let wanted = 4;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    received += chunk.length;
    while (received >= wanted) {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, received);
      const length = bytes.readInt32BE(0);
      if (length < 8 || length > maxRequestBytes) throw new RangeError(`a request of ${length} bytes; this is no Kafka client`);
      wanted = 4 + length;
      if (received < wanted) {
        chunks = [bytes];
        break;
      }
      yield bytes.subarray(4, wanted);
      const rest = bytes.subarray(wanted);
      chunks = [rest];
      received = rest.length;
      wanted = 4;
    }
  }
}

async function respond(bytes: Buffer, broker: Broker): Promise<Buffer[] | undefined> {
  const request = new WireReader(bytes);
  const key = request.int16();
  const version = request.int16();
  const correlationId = request.int32();
  const clientId = request.nullableString() ?? 'client';
  const api = apis.get(key);
  if (api === undefined || version < api.minVersion || version > api.maxVersion) {
    if (key !== apiVersionsKey) throw new RangeError(`request ${key} in version ${version}, which ApiVersions does not offer`);
    return framed(correlationId, supportedVersions(errorCodes.unsupportedVersion, 0));
  }
  const isFlexible = version >= (api.flexibleFrom ?? Infinity);
  if (isFlexible) request.taggedFields();
  const response = await api.handle(request, broker, { clientId, version });
  return response === undefined ? undefined : framed(correlationId, response, isFlexible);
}

function framed(correlationId: number, response: WireWriter, isFlexible = false): Buffer[] {
  const parts = [...(isFlexible ? new WireWriter().noTaggedFields().parts() : []), ...response.parts()];
  const head = Buffer.allocUnsafe(8);
  head.writeInt32BE(4 + parts.reduce((bytes, part) => bytes + part.length, 0), 0);
  head.writeInt32BE(correlationId, 4);
  return [head, ...parts];
}

async function send(socket: Socket, parts: readonly Buffer[]): Promise<void> {
  socket.cork();
  let free = true;
  for (const part of parts) free = socket.write(part);
  socket.uncork();
  if (!free && !socket.destroyed) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }
}
