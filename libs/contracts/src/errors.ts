/**
 * The fate of a unit of work that failed: the caller is told, it is tried again, a person decides, or it is parked for an operator. Without a caller, as in
 * a run, `reject` parks, too.
 */
export type Outcome = 'reject' | 'retry' | 'review' | 'deadLetter';

/** One kind of expected failure, as every edge reports it. */
export interface Failure {
  readonly outcome: Outcome;
  /** The status of an HTTP response that reports it (RFC 9110). */
  readonly httpStatus: number;
  /** One sentence for people; the `title` of problem+json. */
  readonly title: string;
  /** The value of `WWW-Authenticate` (RFC 6750) that goes with the status. */
  readonly challenge?: string;
}

/**
 * Every expected failure. A code is stable: it is the `type` of problem+json, `code` in GraphQL, the label in metrics and the reason on a dead
 * letter. No edge decides an outcome, a status or a challenge of its own.
 */
export const failures = {
  'request.malformed': { outcome: 'reject', httpStatus: 400, title: 'The request could not be read' },
  'request.invalid': { outcome: 'reject', httpStatus: 400, title: 'A field of the request is not acceptable' },
  'request.tooLarge': { outcome: 'reject', httpStatus: 413, title: 'The body is larger than this address accepts' },
  'request.headTooLarge': { outcome: 'reject', httpStatus: 431, title: 'The head of the request is larger than this server accepts' },
  'request.slow': { outcome: 'reject', httpStatus: 408, title: 'The request came too slowly' },
  'request.limited': { outcome: 'retry', httpStatus: 429, title: 'More requests come than the source or its tenant takes in a minute' },
  'request.transferCoding': { outcome: 'reject', httpStatus: 501, title: 'The transfer coding is not one that this server reads' },
  'request.unsupportedMediaType': {
    outcome: 'reject',
    httpStatus: 415,
    title: 'The content type or encoding is not one that this address reads',
  },
  'request.notFound': { outcome: 'reject', httpStatus: 404, title: 'There is nothing at this address' },
  'request.methodNotAllowed': { outcome: 'reject', httpStatus: 405, title: 'This address does not answer that method' },
  'request.originForbidden': { outcome: 'reject', httpStatus: 403, title: 'The web page that sent the request may not call this address' },
  'request.idempotencyMismatch': { outcome: 'reject', httpStatus: 409, title: 'The idempotency key was used before, for another request' },
  'request.tooExpensive': { outcome: 'reject', httpStatus: 400, title: 'The query asks for more than one request may' },
  'request.timeout': { outcome: 'retry', httpStatus: 503, title: 'The response took longer than a request may' },
  'request.unknown': { outcome: 'reject', httpStatus: 404, title: 'The request does not exist' },
  'request.unverifiable': {
    outcome: 'reject',
    httpStatus: 422,
    title: 'What was kept of the request does not suffice to verify it again',
  },
  'request.refused': { outcome: 'reject', httpStatus: 422, title: 'The source refuses the request as it is now' },
  'request.defect': { outcome: 'reject', httpStatus: 500, title: 'The request failed with an unexpected error' },
  'service.starting': { outcome: 'retry', httpStatus: 503, title: 'The process has not finished its start' },
  'service.busy': { outcome: 'retry', httpStatus: 503, title: 'The process has as much under way as it takes at once' },
  'subscription.overflow': {
    outcome: 'retry',
    httpStatus: 503,
    title: 'The subscriber takes nothing while changes of ever more events wait',
  },
  'source.unknown': { outcome: 'reject', httpStatus: 404, title: 'There is no such source' },
  'source.addressForbidden': { outcome: 'reject', httpStatus: 403, title: 'The source takes no requests from this address' },
  'event.schemaMismatch': { outcome: 'reject', httpStatus: 422, title: 'The data of an event does not fit the schema of its source' },
  'signature.missing': { outcome: 'reject', httpStatus: 401, title: 'The request carries no signature' },
  'signature.malformed': { outcome: 'reject', httpStatus: 401, title: 'The signature or its timestamp could not be read' },
  'signature.mismatch': { outcome: 'reject', httpStatus: 401, title: 'The signature does not match the body' },
  'signature.noHandshake': { outcome: 'reject', httpStatus: 401, title: 'The request is no handshake that the source answers' },
  'signature.expired': { outcome: 'reject', httpStatus: 401, title: 'The signature is too old or from the future' },
  'credential.missing': { outcome: 'reject', httpStatus: 401, title: 'The request carries no API key', challenge: 'Bearer' },
  'credential.invalid': {
    outcome: 'reject',
    httpStatus: 401,
    title: 'The API key is unknown, revoked or expired',
    challenge: 'Bearer error="invalid_token"',
  },
  'credential.scope': {
    outcome: 'reject',
    httpStatus: 403,
    title: 'The API key lacks the scope for this',
    challenge: 'Bearer error="insufficient_scope"',
  },
  'tenant.unknown': { outcome: 'reject', httpStatus: 404, title: 'The tenant does not exist' },
  'apiKey.unknown': { outcome: 'reject', httpStatus: 404, title: 'The API key does not exist' },
  'document.invalid': { outcome: 'reject', httpStatus: 422, title: 'A document does not fit its schema' },
  'document.unknown': { outcome: 'reject', httpStatus: 404, title: 'The document does not exist' },
  'document.versionMismatch': { outcome: 'reject', httpStatus: 409, title: 'A document has another version than the request expects' },
  'event.unknown': { outcome: 'reject', httpStatus: 404, title: 'The event does not exist' },
  'deadLetter.unknown': { outcome: 'reject', httpStatus: 404, title: 'The dead letter does not exist' },
  'deadLetter.resolved': { outcome: 'reject', httpStatus: 409, title: 'The dead letter is resolved already' },
  'deadLetter.underWay': { outcome: 'reject', httpStatus: 409, title: 'A retry of the dead letter is under way' },
  'deadLetter.notHeld': {
    outcome: 'reject',
    httpStatus: 409,
    title: 'The record of the dead letter was passed over, and cannot be handled again',
  },
  'delivery.unknown': { outcome: 'reject', httpStatus: 404, title: 'The delivery does not exist' },
  'bulkOperation.unknown': { outcome: 'reject', httpStatus: 404, title: 'The bulk operation does not exist' },
  'bulkOperation.defect': { outcome: 'deadLetter', httpStatus: 500, title: 'The bulk operation failed with an unexpected error' },
  'log.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The log did not acknowledge in time' },
  'storage.outdated': { outcome: 'retry', httpStatus: 503, title: 'The database does not have the schema of this release yet' },
  'storage.unavailable': { outcome: 'retry', httpStatus: 503, title: 'Postgres cannot be reached' },
  'configuration.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The configuration has not been read yet' },
  'configuration.tooOld': { outcome: 'retry', httpStatus: 503, title: 'Postgres is away for longer than its configuration may be served' },
  'secretStore.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The secret store of the installation does not answer' },
  'record.undecodable': { outcome: 'deadLetter', httpStatus: 500, title: 'The record does not fit its schema' },
  'record.defect': { outcome: 'deadLetter', httpStatus: 500, title: 'The handler failed with an unexpected error' },
  'flow.unknown': { outcome: 'reject', httpStatus: 404, title: 'The flow does not exist' },
  'flow.takesNoRequests': { outcome: 'reject', httpStatus: 422, title: 'The flow takes no requests for decisions' },
  'decision.deadline': { outcome: 'review', httpStatus: 504, title: 'The flow had not decided by the deadline' },
  'decision.unconfirmed': { outcome: 'review', httpStatus: 504, title: 'It could not be found out which decision is stored' },
  'decision.busy': { outcome: 'retry', httpStatus: 503, title: 'Too many callers wait for decisions' },
  'job.unknown': { outcome: 'reject', httpStatus: 404, title: 'The job does not exist' },
  'event.unrecorded': { outcome: 'retry', httpStatus: 503, title: 'The event is not stored yet, although its runs are' },
  'run.leased': { outcome: 'retry', httpStatus: 503, title: 'Another process is at work on this run' },
  'run.unfinished': { outcome: 'retry', httpStatus: 503, title: 'A run of the event has to be tried again' },
  'run.unknown': { outcome: 'reject', httpStatus: 404, title: 'The run does not exist' },
  'run.finished': { outcome: 'reject', httpStatus: 409, title: 'The run has ended already' },
  'run.cancelled': { outcome: 'deadLetter', httpStatus: 409, title: 'A person ended the run' },
  'review.unknown': { outcome: 'reject', httpStatus: 404, title: 'The review does not exist' },
  'review.claimed': { outcome: 'reject', httpStatus: 409, title: 'Somebody else has claimed the review' },
  'review.ended': { outcome: 'reject', httpStatus: 409, title: 'The review is decided, expired or withdrawn' },
  'review.valueInvalid': { outcome: 'reject', httpStatus: 422, title: 'The value does not fit the schema of the review' },
  'run.failed': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'A run of the event was given up, and its customer waits for what becomes of it',
  },
  'evaluation.busy': { outcome: 'retry', httpStatus: 503, title: 'Too many evaluations of the tenant wait for their turn' },
  'flow.expressionFailed': { outcome: 'deadLetter', httpStatus: 422, title: 'An expression of the flow failed' },
  'flow.validationFailed': { outcome: 'deadLetter', httpStatus: 422, title: 'A validate step refused its input' },
  'flow.waitUnusable': { outcome: 'deadLetter', httpStatus: 422, title: 'A wait step has no usable end' },
  'flow.reviewUnusable': { outcome: 'deadLetter', httpStatus: 422, title: 'A review step yields nothing that a person can decide on' },
  'flow.waitsFull': { outcome: 'deadLetter', httpStatus: 422, title: 'Too many runs of the tenant wait' },
  'flow.itemsRefused': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'The items of a forEach step are too many, or their keys cannot tell them apart',
  },
  'flow.runTooLarge': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'A run has more steps, deliveries or stored characters than one may have, or calls flows too deep',
  },
  'trial.unknown': { outcome: 'reject', httpStatus: 404, title: 'The trial does not exist' },
  'trial.tooMany': { outcome: 'deadLetter', httpStatus: 409, title: 'Too many trials of the tenant wait for their turn' },
  'trial.actsOutside': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'A trial sends nothing, and a step that does has no output to go on with',
  },
  'trial.tooSlow': { outcome: 'deadLetter', httpStatus: 422, title: 'The flow takes longer on an event than a trial gives it' },
  'trial.defect': { outcome: 'deadLetter', httpStatus: 500, title: 'The trial failed with an unexpected error' },
  'flow.unknownDestination': { outcome: 'deadLetter', httpStatus: 422, title: 'The flow delivers to a destination that does not exist' },
  'model.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The model could not be reached or failed' },
  'model.outage': { outcome: 'retry', httpStatus: 503, title: 'Too many calls of the model failed, so none is made for now' },
  'model.budgetSpent': {
    outcome: 'retry',
    httpStatus: 503,
    title: 'A budget of the tenant is spent, so models that it counts are not asked',
  },
  'model.notFree': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'A budget of the tenant is spent, and no model is named that it does not count',
  },
  'model.limited': { outcome: 'retry', httpStatus: 503, title: 'The model provider limits the rate' },
  'model.credential': { outcome: 'retry', httpStatus: 503, title: 'The model provider refuses the credential' },
  'model.misconfigured': { outcome: 'retry', httpStatus: 503, title: 'There is no model API at the configured address' },
  'model.refused': { outcome: 'deadLetter', httpStatus: 502, title: 'The model refused the request for good' },
  'model.answerTooLarge': { outcome: 'deadLetter', httpStatus: 502, title: 'The answer of the model is larger than any it may give' },
  'model.invalidOutput': { outcome: 'deadLetter', httpStatus: 502, title: 'The model never produced output that fits the schema' },
  'model.inputTooLong': { outcome: 'deadLetter', httpStatus: 422, title: 'The input of a model is longer than the step allows' },
  'model.brokenRule': { outcome: 'deadLetter', httpStatus: 502, title: 'The model never produced output that keeps the rules of the step' },
  'model.ungroundedOutput': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The model never produced output whose quotes, ids and numbers stand in its input',
  },
  'model.foreignMarkup': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The model never produced output without links or markup that its input lacks',
  },
  'operation.uncertain': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The operation may have taken effect, and a repeat might take effect a second time',
  },
  'delivery.busy': { outcome: 'retry', httpStatus: 503, title: 'An attempt of the delivery is under way' },
  'delivery.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The destination could not be reached or failed' },
  'delivery.timeout': { outcome: 'retry', httpStatus: 503, title: 'The destination did not answer by the deadline' },
  'delivery.refused': { outcome: 'deadLetter', httpStatus: 502, title: 'The destination refused the payload' },
  'delivery.unauthorized': { outcome: 'retry', httpStatus: 503, title: 'The destination refuses the credential' },
  'delivery.destinationDisabled': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The destination answered 410, and gets nothing until it is enabled again',
  },
  'webhook.unsupported': { outcome: 'reject', httpStatus: 422, title: 'Webhooks cannot be registered by this connection for this source' },
  'webhook.noAddress': { outcome: 'reject', httpStatus: 409, title: 'The source has no address that partners reach' },
  'webhook.refused': { outcome: 'reject', httpStatus: 422, title: 'The system refused what was asked of it about webhooks' },
  'webhook.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The system could not be asked about webhooks' },
  'webhook.busy': { outcome: 'retry', httpStatus: 503, title: 'Webhooks of the source are being registered by another request' },
  'pull.unknown': { outcome: 'reject', httpStatus: 404, title: 'The pull does not exist' },
  'pull.tooLong': { outcome: 'deadLetter', httpStatus: 502, title: 'A list has more pages than a pass of its pull reads' },
  'pull.itemsInvalid': { outcome: 'deadLetter', httpStatus: 502, title: 'The answer that a pull got holds no list of items' },
  'pull.cursorInvalid': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'An item that a pull got has a cursor of another kind than those before',
  },
  'schedule.unknown': { outcome: 'reject', httpStatus: 404, title: 'The schedule does not exist' },
  'modelProvider.unknown': { outcome: 'reject', httpStatus: 404, title: 'The model provider does not exist' },
  'modelRoute.unknown': { outcome: 'reject', httpStatus: 404, title: 'The model route does not exist' },
  'destination.unknown': { outcome: 'reject', httpStatus: 404, title: 'The destination does not exist' },
  'delivery.uncertain': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The destination may have taken the delivery, and a repeat might take effect a second time',
  },
  'delivery.secondEffect': {
    outcome: 'reject',
    httpStatus: 409,
    title: 'The destination took the delivery, or may have, and would take it a second time',
  },
  'delivery.superseded': { outcome: 'reject', httpStatus: 409, title: 'A newer delivery of the same object takes the place of this one' },
  'connector.unknown': { outcome: 'reject', httpStatus: 404, title: 'The connector does not exist' },
  'operation.unknown': { outcome: 'reject', httpStatus: 404, title: 'The connector has no such operation' },
  'operation.refused': { outcome: 'deadLetter', httpStatus: 502, title: 'The system refused the operation' },
  'operation.limited': { outcome: 'retry', httpStatus: 503, title: 'The system asks for fewer requests' },
  'operation.unavailable': { outcome: 'retry', httpStatus: 503, title: 'The system could not be reached or failed' },
  'operation.timeout': { outcome: 'retry', httpStatus: 503, title: 'The system did not answer by the deadline' },
  'operation.unauthorized': { outcome: 'retry', httpStatus: 503, title: 'The system refuses the credential' },
  'operation.conflict': { outcome: 'retry', httpStatus: 503, title: 'Something else changed the object at that moment' },
  'operation.gone': { outcome: 'deadLetter', httpStatus: 502, title: 'The account or address at the system is gone for good' },
  'operation.addressForbidden': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'The system resolves to an address that operations may not reach',
  },
  'operation.inputInvalid': { outcome: 'deadLetter', httpStatus: 422, title: 'The input does not fit the operation' },
  'operation.outputInvalid': {
    outcome: 'deadLetter',
    httpStatus: 502,
    title: 'The answer of the system does not fit the output of the operation',
  },
  'delivery.addressForbidden': {
    outcome: 'deadLetter',
    httpStatus: 422,
    title: 'The destination resolves to an address that deliveries may not reach',
  },
  'connection.unknown': { outcome: 'reject', httpStatus: 404, title: 'The connection does not exist' },
  'connection.unavailable': { outcome: 'retry', httpStatus: 503, title: 'No token for the connection can be had for now' },
  'connection.notOAuth': { outcome: 'reject', httpStatus: 422, title: 'The connection has a credential that needs no consent' },
  'connection.noCallback': { outcome: 'reject', httpStatus: 409, title: 'The installation has no address for the answers of consents' },
  'connection.consentRefused': { outcome: 'reject', httpStatus: 400, title: 'The answer of the consent is not taken' },
  'connection.needsReauth': {
    outcome: 'retry',
    httpStatus: 503,
    title: 'The connection waits for a person: for consent, or for credentials that its system takes',
  },
} as const satisfies Record<string, Failure>;

export type FailureCode = keyof typeof failures;

/**
 * An expected failure. Everything that is not one is a defect and keeps its stack.
 * A subclass fixes `code`; the outcome follows from the table above.
 */
export abstract class DomainError extends Error {
  abstract readonly code: FailureCode;
  /** The wait before the next try that the other side asked for, in ms. */
  readonly retryAfterMs?: number;
  /** The longest wait before the next try, in ms; shorter than the cap of the retry policy. Unset: the policy's cap. */
  readonly retryWithinMs?: number;
  /** True if the fault is our own log or storage. Such a retry does not use up the retry budget, and nothing is parked for it. */
  readonly ours: boolean = false;
  /** True if another line of the log reports the cause, so that the work which fails for it is not worth a warning each time. */
  readonly isReported: boolean = false;
  /** The path of the input's field at fault, such as `spec.steps.0.infer.model`. */
  readonly field?: string;

  get outcome(): Outcome {
    return failures[this.code].outcome;
  }

  override get name(): string {
    return this.constructor.name;
  }

  /** The message for a caller. A fault of our own names hosts, which are nobody else's business; its whole message is in `/readyz` and in the log. */
  get publicMessage(): string {
    return this.ours ? failures[this.code].title : this.message;
  }
}

/** Every kind of thing that a request, a record or a document can name although it does not exist. */
type Missing = { [Code in FailureCode]: Code extends `${infer Kind}.unknown` ? Kind : never }[FailureCode];

const nouns: Partial<Record<Missing, string>> = {
  deadLetter: 'dead letter',
  bulkOperation: 'bulk operation',
  apiKey: 'API key',
  modelProvider: 'model provider',
  modelRoute: 'model route',
};

/** Something that was named does not exist in its tenant. The one class for all codes `<kind>.unknown`. */
export class NotFound extends DomainError {
  readonly code: `${Missing}.unknown`;
  /** The ids or names that do not exist. */
  readonly missing: readonly string[];
  override readonly field?: string;

  /**
   * @param options.field the path of the input's field that named it
   * @param options.message default: `There is no <kind> <ids>`
   */
  constructor(kind: Missing, missing: string | readonly string[], { field, message }: { field?: string; message?: string } = {}) {
    const ids = typeof missing === 'string' ? [missing] : missing;
    super(message ?? `There is no ${nouns[kind] ?? kind} ${ids.join(', ')}`);
    this.code = `${kind}.unknown`;
    this.missing = ids;
    if (field !== undefined) this.field = field;
  }
}

/** More evaluations of one tenant wait for a process than may. What asked for this one can ask again later. */
export class EvaluationsBusy extends DomainError {
  readonly code = 'evaluation.busy';

  constructor(waiting: number) {
    super(`${waiting} evaluations of the tenant wait for their turn already`);
  }
}
