import { messageOf } from '#libs/contracts';

/** No complete response came: the name did not resolve, the connection failed, or it broke. */
export class HostUnreachable extends Error {
  /** @param wasSent false if nothing of the request was written to a connection, so that the host knows nothing of it */
  constructor(
    host: string,
    cause: unknown,
    readonly wasSent: boolean,
  ) {
    super(`${host} could not be reached: ${messageOf(cause)}`, { cause: withoutContent(cause) });
  }
}

/** An error of undici's parser carries the bytes that it could not read. A peer may repeat a credential in them. */
function withoutContent(cause: unknown): unknown {
  if (cause instanceof Error && 'data' in cause) delete cause.data;
  return cause;
}

/** The deadline of the whole exchange (name, connection, request, response) passed. */
export class HostTimedOut extends Error {
  /** @param wasSent false if nothing of the request was written to a connection, so that the host knows nothing of it */
  constructor(
    host: string,
    timeoutMs: number,
    readonly wasSent: boolean,
  ) {
    super(`${host} did not answer completely within ${timeoutMs} ms`);
  }
}

/** The host is, or resolves to, an inner address: a tenant's document must not reach what only this process can reach. */
export class HostAddressForbidden extends Error {
  constructor(host: string, address: string, range: string) {
    super(`${host} ${host === address ? 'is' : `resolves to ${address},`} a ${range} address; deliveries go to public addresses only`);
  }
}
