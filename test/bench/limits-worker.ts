/** One of the processes of the bench `limits`: keeps callers of three lanes at a model until it is told to stop, and counts what comes back. */
import { ModelGateway, OpenAiProvider } from '#libs/models';
import type { ModelAttempt } from '#libs/models';
import { RedisLimitStore, SharedLimitStore } from '#libs/limits';
import { RedisLink } from '#libs/redis';
import { compileSchema } from '#libs/schemas';
import { lanes } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { setLogLevel } from '#libs/tracing';

/** The counts of one worker. */
export interface LimitsCount {
  readonly answered: Record<Lane, number>;
  refused: number;
}

const callersPerLane = 10;
const [baseUrl, redisUrl] = process.argv.slice(2) as [string, string];
setLogLevel('silent');
const limitStore = new SharedLimitStore(new RedisLimitStore(new RedisLink({ url: redisUrl }), String(process.pid)));
const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl, apiKey: 'shared' }), limitStore });
const outputSchema = compileSchema({
  type: 'object',
  properties: { urgency: { type: 'number', minimum: 0, maximum: 1 } },
  required: ['urgency'],
  additionalProperties: false,
});
const count: LimitsCount = { answered: { high: 0, normal: 0, low: 0 }, refused: 0 };
let isCounting = false;

const onAttempt = ({ errorCode }: ModelAttempt): Promise<void> => {
  if (isCounting && errorCode === 'model.limited') count.refused += 1;
  return Promise.resolve();
};

async function call(lane: Lane, caller: number): Promise<void> {
  for (;;) {
    await gateway
      .infer({
        tenant: 'bench',
        customer: `c-${caller}`,
        lane,
        target: { model: 'local/rules-1' },
        instructions: 'How urgent is it?',
        input: 'My order has not arrived yet.',
        outputSchema,
        schemaName: 'urgency',
        timeoutMs: 600_000,
        onAttempt,
      })
      .then(
        () => void (count.answered[lane] += isCounting ? 1 : 0),
        () => undefined,
      );
  }
}

process.on('message', (message) => {
  if (message === 'count') isCounting = true;
  else process.send!(count, () => process.exit(0));
});
for (const lane of lanes) for (let caller = 0; caller < callersPerLane; caller += 1) void call(lane, caller);
process.send!('ready');
