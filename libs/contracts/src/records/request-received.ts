import { z } from 'zod';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

export const requestOutcomes = ['accepted', 'refused'] as const;
/** How a request that is kept was answered. */
export type RequestOutcome = (typeof requestOutcomes)[number];

/** A request as a door received it, without secrets. It is a sample: doors keep a limited number of them. */
export const requestReceivedSchema = z.object({
  tenant: name,
  customer: customerKey,
  requestId: z.string().startsWith('req_'),
  source: name,
  outcome: z.enum(requestOutcomes),
  /** The code of the refusal; null if it was accepted. */
  code: z.string().nullable(),
  message: z.string().nullable(),
  receivedAt: z.iso.datetime(),
  method: z.string(),
  path: z.string(),
  /** Without the question mark; null if there was none. */
  query: z.string().nullable(),
  /** In their order, as received. */
  headers: z.array(z.object({ name: z.string(), value: z.string() })),
  /** The parts that were left out for being secret: `header NAME`, `query NAME`, `body`. */
  redacted: z.array(z.string()),
  clientAddress: z.string(),
  isProxied: z.boolean(),
  /** True: it proved who sent it, when it was received. */
  isVerified: z.boolean(),
  /** The length of the body as received; what is kept of it can be shorter. */
  bodyBytes: z.int().nonnegative(),
  body: z.string().optional(),
  bodyBase64: z.string().optional(),
  eventIds: z.array(z.string()),
});
export type RequestReceived = z.infer<typeof requestReceivedSchema>;
export const RequestReceived = recordType('request.received.v1', requestReceivedSchema, { ifUnknown: 'pass' });
