import { z } from 'zod';
import { vendorStandIns } from '#libs/connectors';
import { clipped, keptObjects } from './sample.system.js';
import type { SampleSystem } from './sample.system.js';

const seed = z.strictObject({ channels: z.array(z.string().min(1)) });
const taken = z.looseObject({ ok: z.literal(true) });
const posted = z.looseObject({ channel: z.string(), text: z.string() });

export async function slackSystem(): Promise<SampleSystem> {
  const { handle, channels } = await vendorStandIns.slack();
  return {
    handle,
    effectsOf: ({ segments, body }, response) => {
      const { data } = posted.safeParse(body);
      if (taken.safeParse(response.body).error !== undefined || data === undefined || segments[1] !== 'chat.postMessage') return [];
      channels.get(data.channel)?.splice(keptObjects);
      return [`Slack ${data.channel}: ${clipped(data.text)}`];
    },
    put: (content) => {
      for (const channel of seed.parse(content).channels) if (!channels.has(channel)) channels.set(channel, []);
    },
    content: () => ({
      channels: Object.fromEntries([...channels].map(([channel, messages]) => [channel, messages.map(({ ts, text }) => ({ ts, text }))])),
    }),
  };
}
