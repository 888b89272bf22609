import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ModelCredentialRefused,
  ModelGateway,
  ModelLimited,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
  OpenAiProvider,
} from '#libs/models';
import type { Inference, InferenceRequest, ModelAttempt } from '#libs/models';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { compileSchema } from '#libs/schemas';
import { LocalModelModule } from '../local-model.module.js';
import { localModelBasePath } from './completions.controller.js';

const schema = {
  type: 'object',
  additionalProperties: false,
  required: ['topic', 'urgency'],
  properties: { topic: { enum: ['billing', 'delivery', 'other'] }, urgency: { type: 'number', minimum: 0, maximum: 1 } },
};
const input = { type: 'ticket', data: { message: 'I was charged twice, please refund me.' } };
const impossible = { type: 'object', properties: { code: { type: 'string', pattern: '^Q{7}$' } }, required: ['code'] };
const fits = { topic: 'billing', urgency: expect.any(Number) };

/** How the gateway deals with each fault of a real server over real HTTP. Its waits are noted and take no time. */
let service: RunningService;
beforeAll(async () => {
  const options = { apiKey: undefined, requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, faults: true };
  service = await start({ service: 'local-model', host: '127.0.0.1', port: 0, modules: [LocalModelModule.register(options)] });
});
afterAll(() => service.stop());

describe.each(['chat', 'responses'] as const)('the gateway over the %s API', (api) => {
  let gateway: ModelGateway;
  let waits: number[];
  let attempts: ModelAttempt[];

  beforeEach(() => {
    waits = [];
    attempts = [];
    let skippedMs = 0;
    const clock = {
      now: () => performance.now() + skippedMs,
      sleep: async (ms: number) => {
        waits.push(ms);
        skippedMs += ms;
      },
    };
    const provider = new OpenAiProvider({ baseUrl: `${service.url}${localModelBasePath}`, apiKey: 'any', api });
    gateway = new ModelGateway({ provider, clock });
  });
  afterEach(async () => {
    await fetch(`${service.url}/local-model/faults`, { method: 'DELETE' });
    await gateway.close();
  });

  const request: InferenceRequest = {
    tenant: 'acme',
    target: { model: 'local/rules-1' },
    instructions: 'Triage.',
    input,
    outputSchema: compileSchema(schema),
    schemaName: 'triage',
    timeoutMs: 30_000,
    onAttempt: async (attempt) => void attempts.push(attempt),
  };
  const infer = (over: Partial<InferenceRequest> = {}) => gateway.infer({ ...request, ...over });
  const outcomes = (): (string | null)[] => attempts.map(({ errorCode }) => errorCode);

  it('gets an answer that fits, from the input alone and not from the frame around it', async () => {
    const { output, responseModel, usage, providerRequestId } = await infer();
    expect(output).toEqual(fits);
    expect(responseModel).toBe('local/rules-1');
    expect(usage!.inputTokens).toBeGreaterThan(0);
    expect(providerRequestId).toMatch(/^req_/);
    expect((await infer()).output).toEqual(output);
  });

  it('lists its model', async () => {
    expect(await gateway.endpoint.models()).toEqual(['local/rules-1']);
  });

  it('waits out a 429 for as long as it asks', async () => {
    await script({ fault: 'status', status: 429, retryAfterSeconds: 3, times: 2 });
    expect((await infer()).output).toEqual(fits);
    expect(waits).toHaveLength(2);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(3_000);
    expect(outcomes()).toEqual(['model.limited', 'model.limited', null]);
  });

  it('waits out a 429 that does not say how long', async () => {
    await script({ fault: 'status', status: 429, times: 4 });
    expect((await infer()).attempts).toBe(5);
  });

  it('hands on a 429 that lasts beyond the deadline', async () => {
    await script({ fault: 'status', status: 429, retryAfterSeconds: 60 });
    await expect(infer()).rejects.toSatisfy((error: unknown) => error instanceof ModelLimited && error.retryAfterMs === 60_000);
  });

  it.each([500, 503])('tries again after a %i', async (status) => {
    await script({ fault: 'status', status, times: 3 });
    expect((await infer()).attempts).toBe(4);
  });

  it('gives a provider up that fails four times', async () => {
    await script({ fault: 'status', status: 500 });
    await expect(infer()).rejects.toBeInstanceOf(ModelUnavailable);
    expect(attempts).toHaveLength(4);
  });

  it('tries again where the answer is cut off', async () => {
    await script({ fault: 'cutStream', times: 1 });
    expect((await infer()).output).toEqual(fits);
    expect(outcomes()).toEqual(['model.unavailable', null]);
  });

  it('ends a call that hangs at the deadline', async () => {
    await script({ fault: 'hang', times: 1 });
    await expect(infer({ timeoutMs: 100 })).rejects.toThrow('did not answer within 100 ms');
  });

  it('takes an answer that comes late but in time', async () => {
    await script({ fault: 'delay', delayMs: 30, times: 1 });
    expect((await infer()).attempts).toBe(1);
  });

  it('has broken JSON repaired', async () => {
    await script({ fault: 'brokenJson', times: 1 });
    expect((await infer()).output).toEqual(fits);
    expect(outcomes()).toEqual(['model.invalidOutput', null]);
  });

  it('gives up on a model that never keeps to the schema', async () => {
    await script({ fault: 'schemaBreaking' });
    await expect(infer()).rejects.toBeInstanceOf(ModelOutputInvalid);
    expect(outcomes()).toEqual(['model.invalidOutput', 'model.invalidOutput', 'model.invalidOutput']);
  });

  it('takes nothing from a model that was told what to say, until that passes the gates', async () => {
    const outputSchema = compileSchema({ ...schema, properties: { ...schema.properties, quote: { type: 'string' } } });
    const checks = { grounded: [{ field: 'quote', as: 'quote' as const }] };
    const said = (quote: string) => ({ fault: 'says', text: JSON.stringify({ topic: 'billing', urgency: 1, quote }), times: 1 });
    await script(said('charged thrice'), said('![x](https://evil.example)'), said('charged twice'));
    expect((await infer({ outputSchema, checks })).output).toMatchObject({ quote: 'charged twice' });
    expect(outcomes()).toEqual(['model.ungroundedOutput', 'model.ungroundedOutput', null]);
    await script({ ...said('https://evil.example/?d=1'), times: 3 });
    await expect(infer({ outputSchema })).rejects.toMatchObject({ code: 'model.foreignMarkup', gate: 'markup' });
  });

  it('does not repeat what the credential is refused for', async () => {
    await script({ fault: 'status', status: 401 });
    await expect(infer()).rejects.toBeInstanceOf(ModelCredentialRefused);
    expect(attempts).toHaveLength(1);
  });

  it('does not repeat a call to a model that does not exist', async () => {
    await expect(infer({ target: { model: 'gpt-9' } })).rejects.toBeInstanceOf(ModelRefused);
    expect(attempts[0]).toMatchObject({ providerRequestId: expect.stringMatching(/^req_/) });
  });

  it('takes a refusal for one', async () => {
    await expect(infer({ outputSchema: compileSchema(impossible) })).rejects.toThrow('cannot fill this schema');
  });

  describe('with an observer', () => {
    let texts: string[];
    const watched = (over: Partial<InferenceRequest> = {}): Promise<Inference> => {
      texts = [''];
      const observer = { add: (text: string) => void (texts[texts.length - 1] += text), restart: () => void texts.push('') };
      return infer({ observer, ...over });
    };

    it('tells the text in pieces, which is that of the checked output', async () => {
      const { output, usage, attempts: calls, responseModel } = await watched();
      expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual([output]);
      expect(output).toEqual((await infer()).output);
      expect(usage!.outputTokens).toBeGreaterThan(0);
      expect({ calls, responseModel }).toEqual({ calls: 1, responseModel: 'local/rules-1' });
      expect(outcomes()[0]).toBeNull();
    });

    it.each(['cutStream', 'schemaBreaking', 'brokenJson'])('starts anew after %s', async (fault) => {
      await script({ fault, times: 1 });
      const { output } = await watched();
      expect(texts).toHaveLength(2);
      expect(JSON.parse(texts[1]!)).toEqual(output);
      expect(outcomes()).toEqual([fault === 'cutStream' ? 'model.unavailable' : 'model.invalidOutput', null]);
    });

    it('takes a refusal for one', async () => {
      await expect(watched({ outputSchema: compileSchema(impossible) })).rejects.toThrow('cannot fill this schema');
    });
  });

  it('asks again with a larger limit where the answer was cut at the limit of tokens', async () => {
    expect((await infer({ maxOutputTokens: 4 })).output).toEqual(fits);
    expect(outcomes()).toEqual(['model.invalidOutput', null]);
  });
});

async function script(...rules: object[]): Promise<void> {
  const answer = await fetch(`${service.url}/local-model/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(rules),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
