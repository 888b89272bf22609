import { z } from 'zod';
import { credentialHeader, headerSecret, headerText } from '../credential.js';

export const apiKeyAuth = z.discriminatedUnion('in', [
  z
    .strictObject({
      kind: z.literal('apiKey').describe('A key in a header or a query parameter.'),
      in: z.literal('header').describe('The key stands in a header.'),
      name: credentialHeader.describe('The name of the header, such as `x-api-key`.'),
      prefix: headerText.default('').describe('Text before the key in the header, such as `Token `.'),
      value: headerSecret.describe('The key.'),
    })
    .describe('A key in a header.'),
  z
    .strictObject({
      kind: z.literal('apiKey').describe('A key in a header or a query parameter.'),
      in: z
        .literal('query')
        .describe('The key stands in the query of the address. Proxies may log it: prefer a header where the system takes one.'),
      name: z.string().min(1).max(200).describe('The name of the query parameter.'),
      value: headerSecret.describe('The key.'),
    })
    .describe('A key in a query parameter.'),
]);
