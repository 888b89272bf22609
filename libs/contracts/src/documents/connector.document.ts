import { z } from 'zod';
import { documentName, documentOf, documentVersion, kindOf } from './document-of.js';
import { expression, jsonSchema } from './references.js';
import { errorRule } from './connectors/error-rule.js';
import { openApiSource } from './connectors/openapi.js';
import { builtInOperation, operation, operationName } from './connectors/operation.js';
import { headerTemplates, operationRequest } from './connectors/request.js';
import { template } from './connectors/template.js';
import { wsdlSource } from './connectors/wsdl.js';
import { connectorWebhooks, requireWebhookOperations } from './connectors/webhooks.js';

/** The kinds of `auth` that a connector can name. */
const authKindNames = ['none', 'apiKey', 'basic', 'bearer', 'oauth2', 'mtls', 'awsSigV4', 'wsUsername'] as const;

const hostPattern = z
  .string()
  .max(253)
  .regex(/^(?:\*|(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*)$/, 'must be a host such as api.example.com, *.example.com, or * for any');

const fields = {
  summary: z.string().min(1).max(300).describe('What kind of system it is, in one sentence.'),
  base: template('settings', 'account').describe(
    'The address that paths are appended to: `https://api.example.com/v1`, or with values of the connection: `{settings.base}`.',
  ),
  hosts: z
    .array(hostPattern)
    .min(1)
    .max(50)
    .describe('The only hosts that requests go to: `api.example.com`, `*.example.com`, or `*` for any public one.'),
  settings: jsonSchema
    .default({ type: 'object', additionalProperties: false })
    .describe(
      'The JSON Schema of a connection’s settings. A `default` of a property is taken where it is not given. Default: there are none.',
    ),
  auth: z
    .array(
      z.strictObject({
        kind: z.enum(authKindNames).describe('A kind of `auth` of a connection.'),
        note: z.string().min(1).max(500).optional().describe('Where the credential comes from, for people.'),
      }),
    )
    .min(1)
    .max(10)
    .describe('The kinds of credentials that the system takes.'),
  headers: headerTemplates
    .default({})
    .describe('Headers of every request: text with values. With `{settings.account?}` a header is left out where the value is missing.'),
  limits: z.array(z.string().min(1).max(300)).max(20).default([]).describe('Limits of the system, for people.'),
  errors: z
    .array(errorRule)
    .max(100)
    .default([])
    .describe('What responses mean, the first rule that applies. They are asked about every response, 2xx too. Default: by the status.'),
  message: expression.optional().describe('The system’s own words in a response that is an error, as an expression over `response`.'),
  health: z
    .strictObject({
      request: operationRequest.describe('A request that changes nothing.'),
      account: expression.optional().describe('The name of the account, as an expression over `response`.'),
    })
    .optional()
    .describe('How a connection is tested; default: it is not sent anything.'),
  webhooks: connectorWebhooks.optional(),
};

const operationsOf = <T extends z.ZodType>(one: T) =>
  z
    .record(operationName, one)
    .refine((operations) => Object.keys(operations).length > 0, 'must not be empty')
    .refine((operations) => Object.keys(operations).length <= 200, 'must have at most 200 entries')
    .describe('The operations by name.');

type Looked = Readonly<Record<string, { effect: string; idempotency?: { class: string; operation?: string } | undefined }>>;

/** An operation of the class `verify` names one that reads. */
function requireLookUps({ operations }: { operations: Looked }, context: z.RefinementCtx): void {
  for (const [name, { idempotency }] of Object.entries(operations)) {
    if (idempotency?.class !== 'verify') continue;
    const found = operations[idempotency.operation!];
    if (found?.effect === 'read') continue;
    const message = found === undefined ? 'names no operation of this connector' : 'must be an operation that reads';
    context.addIssue({
      code: 'custom',
      path: ['operations', name, 'idempotency', 'operation'],
      message: `${message}: ${idempotency.operation}`,
    });
  }
}

/** A connector whose operations are all written out. */
export const connectorManifest = z
  .strictObject({ ...fields, operations: operationsOf(operation) })
  .superRefine(requireLookUps)
  .superRefine(requireWebhookOperations);

const { base, hosts, auth } = fields;
const taken = { base: base.optional(), hosts: hosts.optional(), auth: auth.optional(), operations: operationsOf(operation).optional() };

/** The fields that an OpenAPI document or a WSDL can say. */
const sayable = ['base', 'hosts', 'auth', 'operations'] as const;

const documentSpec = z
  .strictObject({
    ...fields,
    ...taken,
    openapi: openApiSource
      .optional()
      .describe('An OpenAPI document that the operations come from, and `base`, `hosts`, `settings` and `auth` where they are not given.'),
    wsdl: wsdlSource
      .optional()
      .describe('A WSDL document that operations of SOAP come from, and `base`, `hosts`, `settings` and `auth` where they are not given.'),
  })
  .superRefine(({ openapi, wsdl, ...given }, context) => {
    const issue = (field: string, message: string): void => context.addIssue({ code: 'custom', path: [field], message });
    if (openapi !== undefined && wsdl !== undefined) issue('wsdl', 'stands beside `openapi`: operations come from one of the two');
    if (openapi !== undefined || wsdl !== undefined) return;
    for (const field of sayable) {
      if (given[field] === undefined) issue(field, 'is missing: only an OpenAPI document in `openapi`, or a WSDL in `wsdl`, could say it');
    }
    if (given.operations === undefined) return;
    requireLookUps({ operations: given.operations }, context);
    requireWebhookOperations({ webhooks: given.webhooks, operations: given.operations }, context);
  });

/** A connector whose requests may be made by code. */
export const builtInSpec = z
  .strictObject({ ...fields, base: fields.base.optional(), operations: operationsOf(builtInOperation) })
  .superRefine(requireLookUps)
  .superRefine(requireWebhookOperations);
/** A kind of system: how its operations become requests, and what its responses mean. One that does not speak HTTP has no base. */
export type ConnectorSpec = z.infer<typeof builtInSpec>;

/** The form of a connector that Millrace brings along; its file is a Connector document without a tenant. */
export const builtInConnector = z.strictObject({
  apiVersion: documentVersion,
  kind: kindOf('Connector'),
  metadata: z.strictObject({ name: documentName }),
  spec: builtInSpec,
});

export const connectorDocument = documentOf(
  'Connector',
  documentSpec.describe('How operations become requests, and what responses mean.'),
  'A kind of system, with an operation for each thing that can be done there. Millrace brings connectors along (docs/connectors.md); a document adds one.',
);
export type ConnectorDocument = z.infer<typeof connectorDocument>;
