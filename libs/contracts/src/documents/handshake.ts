import { z } from 'zod';
import { json } from '../json.js';

const place = {
  query: z.string().min(1).max(100).optional().describe('The query parameter with the value.'),
  header: z.string().min(1).max(100).optional().describe('The header with the value.'),
  body: z
    .string()
    .max(200)
    .regex(/^[\w-]+(?:\.[\w-]+)*$/, 'must be names or places in lists with dots between, such as `0.data.validationCode`')
    .optional()
    .describe('The path of the value in the JSON body of a POST: names and, in lists, places from 0 on, with dots between.'),
};

const condition = z.strictObject({
  ...place,
  equals: json.optional().describe('The value that it must have: text, a number, true, false, null or an empty list.'),
  parameter: z
    .string()
    .regex(/^\w{1,40}$/)
    .optional()
    .describe(
      'The name of one of the source’s `parameters`, whose value it must have. Use it for verify tokens: it is compared in constant time.',
    ),
});

const value = z.strictObject({
  ...place,
  value: json.optional().describe('The value itself.'),
  hmac: z
    .strictObject({
      algorithm: z.enum(['hmac-sha256', 'hmac-sha512', 'hmac-sha1']).default('hmac-sha256').describe('The hash function of the code.'),
      encoding: z.enum(['hex', 'base64']).default('hex').describe('How the code is written.'),
      prefix: z.string().max(40).default('').describe('Text before the code, such as `sha256=`.'),
    })
    .optional()
    .describe('Answers with a code over the value, made with the first of the `secrets`: the proof that this side has it.'),
});

/** A request of a provider that checks whether somebody listens, and its response. Presets and custom sources declare it alike. */
export const sourceHandshake = z
  .strictObject({
    method: z.enum(['GET', 'HEAD', 'POST']).describe('The method of the request.'),
    signed: z
      .boolean()
      .default(true)
      .describe(
        'False: a POST that comes without a signature. By default a POST is verified as events are. GET and HEAD are never signed, so a `parameter` among their conditions is what proves who sent them.',
      ),
    when: z
      .array(condition)
      .max(10)
      .default([])
      .describe('What the request has to have; all of it. Without `equals` and `parameter`: the value must be there.'),
    status: z.int().min(200).max(299).default(200).describe('The status of the response.'),
    text: value.optional().describe('The response as text.'),
    json: z
      .record(z.string().min(1).max(100), value)
      .optional()
      .describe('The response as a JSON object, by its fields. Without `text` and `json` it is empty.'),
  })
  .superRefine(checkHandshake);
export type SourceHandshake = z.infer<typeof sourceHandshake>;
export type SourceHandshakeInput = z.input<typeof sourceHandshake>;
export type HandshakeValue = z.infer<typeof value>;
export type HandshakeCondition = z.infer<typeof condition>;

export const sourceHandshakes = z
  .array(sourceHandshake)
  .max(10)
  .optional()
  .describe(
    'Requests that are answered and bring no event, such as the challenge with which a provider checks the address. The first that fits counts.',
  );

interface Parts {
  method: 'GET' | 'HEAD' | 'POST';
  signed: boolean;
  when: {
    query?: string | undefined;
    header?: string | undefined;
    body?: string | undefined;
    equals?: unknown;
    parameter?: string | undefined;
  }[];
  status: number;
  text?: Answer | undefined;
  json?: Record<string, Answer> | undefined;
}
interface Answer {
  query?: string | undefined;
  header?: string | undefined;
  body?: string | undefined;
  value?: unknown;
  hmac?: object | undefined;
}

function checkHandshake({ method, signed, when, status, text, json: fields }: Parts, context: z.RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
  const answers: [(string | number)[], Answer][] = [
    ...(text === undefined ? [] : [[['text'], text] as [string[], Answer]]),
    ...Object.entries(fields ?? {}).map(([name, answer]): [string[], Answer] => [['json', name], answer]),
  ];
  for (const [at, { equals, parameter, ...places }] of when.entries()) {
    if (countOf(places) !== 1) refuse(['when', at], 'must name one of query, header and body');
    if (equals !== undefined && parameter !== undefined) refuse(['when', at], 'must have equals or parameter, and not both');
  }
  for (const [path, { hmac, ...places }] of answers) {
    if (countOf(places) !== 1) refuse(path, 'must name one of query, header, body and value');
    if (hmac !== undefined && places.value !== undefined)
      refuse(path, 'has an hmac, which needs query, header or body: what the request brings');
  }
  if (method !== 'POST') {
    const reads = [...when.map((one, at) => [['when', at], one] as const), ...answers].find(([, { body }]) => body !== undefined);
    if (reads !== undefined) refuse([...reads[0], 'body'], `a ${method} has no body; name a query parameter or a header`);
    if (!signed) refuse(['signed'], `must be left out: a ${method} is never signed`);
  } else if (when.length === 0) {
    refuse(['when'], 'must have a condition: without one, every POST would be a handshake and none an event');
  }
  if (text !== undefined && fields !== undefined) refuse(['json'], 'must be left out where there is text');
  if ((method === 'HEAD' || status === 204) && answers.length > 0)
    refuse(answers[0]![0], `must be left out: a response ${status === 204 ? 'with status 204' : 'to HEAD'} has no body`);
}

function countOf(places: object): number {
  return Object.values(places).filter((one) => one !== undefined).length;
}

/** True if anybody may have the handshake answered with a code of the source’s secret. */
export function signsForAnybody({ method, signed, text, json: fields }: Pick<Parts, 'method' | 'signed' | 'text' | 'json'>): boolean {
  const isSigned = method === 'POST' && signed;
  return !isSigned && [...(text === undefined ? [] : [text]), ...Object.values(fields ?? {})].some(({ hmac }) => hmac !== undefined);
}
