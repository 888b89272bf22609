/** The way in which a service is told which form an output must have. */
export const structuredOutputs = ['schema', 'object', 'prompt'] as const;
export type StructuredOutput = (typeof structuredOutputs)[number];

/** The field of a chat completion that limits its output. */
export const outputLimitFields = ['max_completion_tokens', 'max_tokens'] as const;
export type OutputLimitField = (typeof outputLimitFields)[number];

/** How one service differs from OpenAI's own API. */
export interface ModelService {
  readonly title: string;
  /** Undefined if each customer of the service has an address of its own. */
  readonly baseUrl?: string;
  readonly structuredOutput: StructuredOutput;
  readonly outputLimit: OutputLimitField;
  /** True if the service refuses every call without a credential. */
  readonly needsKey?: true;
}

const openAi = { structuredOutput: 'schema', outputLimit: 'max_completion_tokens' } as const;
const hosted = { ...openAi, needsKey: true } as const;

/** The services that Millrace knows by name. Every other one is `compatible`. */
export const modelServices = {
  compatible: { title: 'any other server with OpenAI’s API', ...openAi },
  openai: { title: 'OpenAI', baseUrl: 'https://api.openai.com/v1', ...hosted },
  'azure-openai': { title: 'Azure OpenAI, at https://RESOURCE.openai.azure.com/openai/v1; a model is a deployment', ...hosted },
  // https://platform.claude.com/docs/en/api/openai-sdk: `response_format` is ignored.
  anthropic: { title: 'Anthropic', baseUrl: 'https://api.anthropic.com/v1', ...hosted, structuredOutput: 'prompt' },
  google: { title: 'Google Gemini', baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai', ...hosted },
  // It refuses fields that it does not know, and `max_completion_tokens` is one.
  mistral: { title: 'Mistral', baseUrl: 'https://api.mistral.ai/v1', ...hosted, outputLimit: 'max_tokens' },
  groq: { title: 'Groq', baseUrl: 'https://api.groq.com/openai/v1', ...hosted },
  vllm: { title: 'vLLM', ...openAi },
  ollama: { title: 'Ollama', ...openAi, outputLimit: 'max_tokens' },
  'local-model': { title: 'Millrace’s own local model', ...openAi },
} as const satisfies Record<string, ModelService>;

export type ModelServiceName = keyof typeof modelServices;
