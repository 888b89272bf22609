import { describe, expect, it } from 'vitest';
import { registry } from '#libs/tracing';
import { callSpan, countCall } from './gen-ai.js';
import type { ModelRequest } from './model-provider.js';
import { OpenAiProvider } from './providers/openai/openai.provider.js';

const provider = new OpenAiProvider({ baseUrl: 'https://models.example/v1', apiKey: 'unused' });
const request: ModelRequest = {
  model: 'counted/model',
  turns: [{ role: 'user', content: 'private words' }],
  schema: { name: 'x', schema: {}, strict: false },
  maxOutputTokens: 50,
};

describe('a call to a model', () => {
  it('is a client span with the conventions’ names and nothing of the prompt', () => {
    const { name, attributes } = callSpan(provider, request);
    expect(name).toBe('chat counted/model');
    expect(attributes()).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.output.type': 'json',
      'gen_ai.request.model': 'counted/model',
      'gen_ai.request.max_tokens': 50,
      'openai.api.type': 'chat_completions',
      'server.address': 'models.example',
    });
  });

  it('is counted by how it ended, with the tokens it took', async () => {
    countCall('counted/model', provider, 'ok', 120, {
      text: '',
      finish: 'complete',
      responseModel: 'm',
      usage: { inputTokens: 7, outputTokens: 3 },
    });
    countCall('counted/model', provider, 'model.limited', 5, undefined);
    const metrics = await registry.metrics();
    expect(metrics).toContain('millrace_model_call_duration_seconds_count{model="counted/model",api="chat",outcome="ok"} 1');
    expect(metrics).toContain('millrace_model_call_duration_seconds_count{model="counted/model",api="chat",outcome="model.limited"} 1');
    expect(metrics).toContain('millrace_model_tokens_total{model="counted/model",direction="input"} 7');
  });
});
