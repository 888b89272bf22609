import { maxHeaderSize } from 'node:http';
import { DomainError } from '#libs/contracts';

/** The request does not have the syntax of HTTP, or its body not that of its content type. */
export class RequestMalformed extends DomainError {
  readonly code = 'request.malformed';
}

/** A field of a well-formed request has a value that is not accepted. */
export class RequestInvalid extends DomainError {
  readonly code = 'request.invalid';
  constructor(
    override readonly field: string,
    problem: string,
  ) {
    super(`${field}: ${problem}`);
  }
}

/** The request line and headers together are larger than node:http reads. */
export class HeadTooLarge extends DomainError {
  readonly code = 'request.headTooLarge';
  constructor() {
    super(`The address and headers are larger than ${maxHeaderSize} bytes; send less`);
  }
}

export class HeadersTooMany extends DomainError {
  readonly code = 'request.headTooLarge';
  constructor(most: number) {
    super(`The request has more than ${most} headers; send fewer`);
  }
}

/** The head did not end in time. */
export class HeadTooSlow extends DomainError {
  readonly code = 'request.slow';
  constructor() {
    super('The request did not end in time');
  }
}

/** The body has a transfer coding besides `chunked`; its bytes would not be those that were signed. */
export class TransferCodingUnsupported extends DomainError {
  readonly code = 'request.transferCoding';
  constructor(coding: string) {
    super(`The transfer coding ${coding.slice(0, 100)} is not read here; send the body with Content-Length, or chunked and nothing else`);
  }
}

export class RequestTooLarge extends DomainError {
  readonly code = 'request.tooLarge';
  constructor(limitBytes: number) {
    super(`The body is larger than ${limitBytes} bytes; send less, or split it`);
  }
}

export class MediaTypeUnsupported extends DomainError {
  readonly code = 'request.unsupportedMediaType';
  constructor(given: string | undefined, accepted: string) {
    super(
      `${given === undefined || given.trim() === '' ? 'The request has no content type' : `The content type ${given.slice(0, 100)} is not read here`}; send ${accepted}`,
    );
  }
}

/** The body is compressed, and no door reads that: a signature covers the bytes as they were sent. */
export class ContentEncodingUnsupported extends DomainError {
  readonly code = 'request.unsupportedMediaType';
  constructor(coding: string) {
    super(`The content encoding ${coding.slice(0, 100)} is not read here; send the body as it is, without Content-Encoding`);
  }
}

/** The process takes no further request before another one has ended. */
export class RequestsExhausted extends DomainError {
  readonly code = 'service.busy';
  override readonly ours = true;
  override readonly retryAfterMs = 1_000;
  constructor() {
    super('As many requests are under way as this process takes at once; come back in a moment');
  }
}

/** One connection brought more requests than it was answered. */
export class PipelineTooLong extends DomainError {
  readonly code = 'service.busy';
  override readonly retryAfterMs = 1_000;
  constructor(most: number) {
    super(`More than ${most} requests of this connection wait for their answers; read those before you send further ones`);
  }
}

/** The bodies under way already take the memory that there is for them. */
export class BodiesExhausted extends DomainError {
  readonly code = 'service.busy';
  override readonly ours = true;
  override readonly retryAfterMs = 1_000;
  constructor() {
    super('The process holds as many bytes of request bodies as it may; come back in a moment');
  }
}

/** The body did not end in time, or came with too few bytes per second. */
export class BodyTooSlow extends DomainError {
  readonly code = 'request.slow';
  constructor(timeoutMs: number, minBytesPerSecond: number) {
    super(`The body must end within ${timeoutMs} ms, and bring at least ${minBytesPerSecond} bytes per second`);
  }
}

export class MethodNotAllowed extends DomainError {
  readonly code = 'request.methodNotAllowed';
  constructor(
    method: string,
    readonly allowed: string,
  ) {
    super(`This address takes ${allowed}, not ${method}`);
  }
}

export class AddressNotFound extends DomainError {
  readonly code = 'request.notFound';
  constructor() {
    super('There is nothing at this address and method');
  }
}

/** The process has not finished its start. */
export class ServiceStarting extends DomainError {
  readonly code = 'service.starting';
  override readonly ours = true;
  override readonly retryAfterMs = 1_000;
  constructor() {
    super('The process is starting; come back in a moment');
  }
}

export class OperationsKeyRequired extends DomainError {
  readonly code = 'credential.missing';
  constructor() {
    super('Send the key of operations (OPERATIONS_KEY of the service) in the header `Authorization: Bearer …`.');
  }
}

export class OperationsKeyWrong extends DomainError {
  readonly code = 'credential.invalid';
  constructor() {
    super('This is not the key of operations (OPERATIONS_KEY of the service).');
  }
}

/** A rate at which requests are taken, under the name that `RateLimit` headers give it. */
export interface LimitPolicy {
  readonly name: 'source' | 'tenant';
  readonly perMinute: number;
}

/** More requests come than are taken. */
export class RequestLimited extends DomainError {
  readonly code = 'request.limited';
  constructor(
    readonly policies: readonly LimitPolicy[],
    override readonly retryAfterMs: number,
  ) {
    super(
      `${policies.length === 1 ? 'The rate' : 'One of the rates'} is used up: in a minute ${policies.map(({ name, perMinute }) => `${perMinute} requests of the ${name}`).join(' and ')} are taken; come back in ${Math.ceil(retryAfterMs / 1_000)} s`,
    );
  }
}

/** The policies as a header (draft-ietf-httpapi-ratelimit-headers-10): `"source";q=600;w=60`. */
export function policyHeader(policies: readonly LimitPolicy[]): string {
  return policies.map(({ name, perMinute }) => `"${name}";q=${perMinute};w=60`).join(', ');
}
