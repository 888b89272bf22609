import { test } from 'vitest';
import { startKafka, findKafka } from '../../../tools/kafka/kafka.js';
import { writeFileSync } from 'node:fs';
test('k', async () => {
  console.log(await findKafka(undefined));
  const t = Date.now();
  const k = await startKafka({ directory: '/tmp/h1-kafka' });
  console.log('started', Date.now() - t, k.brokers);
  await k.restart();
  console.log('restarted', Date.now() - t);
  writeFileSync('/tmp/h1-kafka/addr', k.brokers[0]!);
  while (!(await import('node:fs')).existsSync('/tmp/h1-kafka/stop')) await new Promise((r) => setTimeout(r, 1000));
  await k.stop();
}, 36000000);
