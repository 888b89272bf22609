import { z } from 'zod';
import { credentialHeader, headerSecret, headersOrSecrets } from './credential.js';
import { documentOf } from './document-of.js';
import { modelServices, outputLimitFields, structuredOutputs } from './model-services.js';
import type { ModelService, ModelServiceName } from './model-services.js';

const serviceNames = Object.keys(modelServices) as ModelServiceName[];

const ownHeaders = /^(accept|accept-encoding|user-agent|traceparent|tracestate|x-stainless-.*)$/i;
const headerName = credentialHeader.refine((header) => !ownHeaders.test(header), 'is a header that Millrace sets itself: leave it out');

const structuredOutput = z.enum(structuredOutputs);

const limits = z.strictObject({
  requestsPerMinute: z.number().positive().max(10_000_000).optional().describe('The most requests in a minute.'),
  tokensPerMinute: z.number().positive().max(10_000_000_000).optional().describe('The most tokens in a minute, input and output together.'),
});

const modelFacts = z
  .strictObject({
    price: z
      .strictObject({
        input: z.number().min(0).max(1_000_000).describe('The price of a million tokens of input.'),
        output: z.number().min(0).max(1_000_000).describe('The price of a million tokens of output.'),
      })
      .optional()
      .describe('What its tokens cost, in the currency of the provider. Calls of a model without a price have no cost.'),
    structuredOutput: structuredOutput.optional().describe('`structuredOutput` of this model; default: that of the provider.'),
    limits: limits.optional().describe('Limits of this model; default: those of the provider.'),
    maxOutputTokens: z
      .int()
      .min(1)
      .max(128_000)
      .optional()
      .describe('The longest output that the model can give, in tokens. A step that asks for more gets this much.'),
  })
  .describe('Facts about a model.');
export type ModelFacts = z.infer<typeof modelFacts>;

export const modelProviderSpec = z
  .strictObject({
    service: z
      .enum(serviceNames)
      .default('compatible')
      .describe(
        `The service: it decides the defaults of the fields below. ${serviceNames.map((name) => `\`${name}\`: ${modelServices[name].title}`).join('; ')}.`,
      ),
    baseUrl: z
      .url({ protocol: /^https?$/, error: 'must be an http or https address' })
      .optional()
      .describe(
        'The address of the API up to and including its version, such as `https://host/v1`. It may be left out for a service that has one address for all.',
      ),
    api: z
      .enum(['chat', 'responses'])
      .default('chat')
      .describe('The API to call: chat completions, which nearly every service has, or responses.'),
    apiKey: headerSecret.optional().describe('The key, sent as `Authorization: Bearer`. Default: none is sent.'),
    headers: headersOrSecrets(headerName)
      .default({})
      .describe(
        'Headers added to every request, such as the key of a proxy: text, or `{ value: … }` if it is a secret. Credentials are encrypted in either form.',
      ),
    structuredOutput: structuredOutput
      .optional()
      .describe(
        'How the JSON Schema of an output is handed over. `schema`: as `response_format` of the type `json_schema`. `object`: as `json_object`, with the schema in the system message. `prompt`: only in the system message. The output is checked in each case. Default: as the service takes it, mostly `schema`.',
      ),
    outputLimit: z
      .enum(outputLimitFields)
      .optional()
      .describe('The field of chat completions that limits the output. Default: as the service takes it, mostly `max_completion_tokens`.'),
    limits: limits
      .prefault({})
      .describe(
        'Limits of each model, for all processes together. Calls wait for their turn, and are not sent to be refused. Default: those that the provider names in its answers (`x-ratelimit-limit-*`), if it does; of both, the lower ones hold.',
      ),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be a code of ISO 4217, such as USD')
      .default('USD')
      .describe('The currency of the prices: a code of ISO 4217.'),
    models: z
      .record(z.string().min(1).max(200), modelFacts)
      .default({})
      .describe('Facts about its models, by name. A model that is not named here can be used all the same.'),
  })
  .superRefine(({ baseUrl, service }, context) => {
    const message = problemOfBase(baseUrl, service);
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['baseUrl'], message });
  });
export type ModelProviderSpec = z.infer<typeof modelProviderSpec>;

function problemOfBase(baseUrl: string | undefined, service: ModelServiceName): string | undefined {
  if (baseUrl === undefined)
    return 'baseUrl' in modelServices[service]
      ? undefined
      : `is missing: ${service === 'compatible' ? 'name a `service` that has an address for all, or set it' : `each installation of ${service} has an address of its own`}`;
  const url = URL.parse(baseUrl);
  return url !== null && url.username + url.password + url.search + url.hash !== ''
    ? 'must have no user, password, query and fragment: credentials belong in `apiKey` or `headers`'
    : undefined;
}

/** The fields of a provider that depend on its service, as written or by default. */
export function resolvedService({
  service,
  baseUrl,
  structuredOutput: form,
  outputLimit,
}: Pick<ModelProviderSpec, 'service' | 'baseUrl' | 'structuredOutput' | 'outputLimit'>): Required<
  Omit<ModelService, 'title' | 'needsKey'>
> {
  const known: ModelService = modelServices[service];
  return {
    baseUrl: baseUrl ?? known.baseUrl!, // `problemOfBase` has refused a document without either
    structuredOutput: form ?? known.structuredOutput,
    outputLimit: outputLimit ?? known.outputLimit,
  };
}

export const modelProviderDocument = documentOf(
  'ModelProvider',
  modelProviderSpec.describe('Where the models are, the credential for them, and facts about them.'),
  'A service that runs models, with the tenant’s own credential. Infer steps and ModelRoute documents name it.',
);
export type ModelProviderDocument = z.infer<typeof modelProviderDocument>;
