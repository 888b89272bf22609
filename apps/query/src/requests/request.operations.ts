import { z } from 'zod';
import { requestOutcomes } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, idempotencyKey, inputObject, pageArguments, pageOf, timestamp, valuesOf } from '../operations/shape.js';

export const requestOutcome = enumeration(
  'RequestOutcome',
  valuesOf(requestOutcomes, {
    accepted: 'Its events were appended to the log.',
    refused: 'It brought nothing in, for a fault of the request or of the source.',
  }),
  'How a request was answered.',
);

export const requestHeader = entity(
  'RequestHeader',
  {
    name: z.string().describe('The name, as it was sent.'),
    value: z.string().describe('The value; `[redacted]` in place of what is secret.'),
  },
  { about: 'A header of a request.' },
);

export const request = entity(
  'Request',
  {
    id: id.describe('The id, `req_…`.'),
    source: z.string().describe('The name of the source that it came to.'),
    outcome: requestOutcome.describe('How it was answered.'),
    code: z.string().nullable().describe('The code of the refusal, from the closed list in `docs/failures.md`; null if it was accepted.'),
    message: z.string().nullable().describe('What the sender was told; null if it was accepted.'),
    receivedAt: timestamp.describe('When the last byte of it had arrived.'),
    method: z.string().describe('The method.'),
    path: z.string().describe('The path.'),
    query: z.string().nullable().describe('The query without its question mark and without secrets; null if there was none.'),
    headers: z.array(requestHeader).describe('The headers in their order, without secrets.'),
    clientAddress: z.string().describe('The address of the caller, which a trusted proxy may have named.'),
    isVerified: z.boolean().describe('True: it proved who sent it when it was received, and was refused, if it was, for something else.'),
    bodyBytes: z.int().describe('The length of the body as it was received. What is kept of it can be shorter.'),
    traceId: z.string().nullable().describe('The id of the trace that it was received in; null if there was none.'),
    takenAt: timestamp.nullable().describe('When a person had its events taken after all; null if nobody did.'),
    takenBy: z.string().nullable().describe('Who had them taken.'),
  },
  { idPrefix: 'req', about: 'A request as a door received it, without secrets. Doors keep a sample of those that they refuse.' },
);
export type RequestRow = z.infer<typeof request> & { readonly redacted: readonly string[] };

export const requestRefusal = entity(
  'RequestRefusal',
  {
    code: z.string().describe('The code, from the closed list in `docs/failures.md`.'),
    message: z.string().describe('The reason, for a person.'),
  },
  { about: 'Why a request is not accepted.' },
);

export const requestVerdict = enumeration(
  'RequestVerdict',
  {
    accepted: 'The source accepts it as it is now.',
    refused: 'The source refuses it as it is now; `refusal` says why.',
    unverifiable: 'What was kept of it does not suffice to say it; `refusal` says what is missing.',
  },
  'What the present source says of a request that was received earlier.',
);

export const requestFilter = inputObject(
  'RequestFilter',
  {
    source: z.string().nullish().describe('The name of a source.'),
    outcome: requestOutcome.nullish().describe('Only requests that were answered like this.'),
    code: z.string().nullish().describe('Only those that were refused with this code, such as `signature.mismatch`.'),
    taken: z.boolean().nullish().describe('True: those whose events a person had taken; false: the others.'),
    receivedFrom: timestamp.nullish().describe('Received at this time or later.'),
    receivedBefore: timestamp.nullish().describe('Received before this time.'),
  },
  'Which requests a list has. All conditions given must hold.',
);
export type RequestFilter = z.infer<typeof requestFilter>;

export const getRequest = query({
  name: 'request',
  about: 'A request by its id; null if none is kept.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id of the request, `req_…`.') }),
  output: request.nullable(),
  failures: [],
});

export const listRequests = query({
  name: 'requests',
  about: 'Requests that doors kept as they were received, the last first.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: requestFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
  }),
  output: pageOf(request),
  failures: [],
});

const requestId = id.describe('The id of the request, from `requests`.');

export const verifyRequest = command({
  name: 'verifyRequest',
  about:
    'Says what the source, as it is now, makes of a request that was received earlier, such as after its secret was corrected. Times of signatures are\ncompared with the time when it was received. It changes nothing.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ id: requestId }),
  result: {
    verdict: requestVerdict.describe('What it says.'),
    refusal: requestRefusal.nullable().describe('Why it is not accepted; null if it is.'),
    eventIds: z.array(z.string()).describe('The ids of its events; empty if it is not accepted.'),
  },
  failures: ['request.unknown', 'source.unknown'],
});

export const takeRequest = command({
  name: 'takeRequest',
  about:
    'Verifies a refused request again, and has its events taken if the source accepts it now: with the ids that they would have had, so that one which the\npartner has sent again in the meantime is no second event. It is harmless twice.',
  scope: 'operate',
  cost: { weight: 30 },
  input: z.strictObject({ id: requestId }),
  result: {
    eventIds: z.array(z.string()).describe('The ids of its events, which are on the log.'),
    request: request.describe('The request, which says when it was taken.'),
  },
  failures: ['request.unknown', 'request.unverifiable', 'request.refused', 'source.unknown', 'log.unavailable'],
});

export const sendTestEvents = command({
  name: 'sendTestEvents',
  about:
    'Sends the events of a request again as test events: new events, which flows see with `event.test`, and which are marked everywhere. Flows run and\ndeliver for them as for others, unless they look at the mark.',
  scope: 'operate',
  cost: { weight: 30 },
  input: z.strictObject({ id: requestId, idempotencyKey }),
  result: { eventIds: z.array(z.string()).describe('The ids of the test events, which are on the log.') },
  failures: [
    'request.unknown',
    'request.unverifiable',
    'request.refused',
    'request.idempotencyMismatch',
    'source.unknown',
    'log.unavailable',
  ],
});
export type SendTestEventsInput = InputOf<typeof sendTestEvents>;
