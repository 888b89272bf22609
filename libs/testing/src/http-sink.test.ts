import { expect, test } from 'vitest';
import { startHttpSink, waitFor } from './index.js';

test('it keeps the raw request and answers as told', async () => {
  const sink = await startHttpSink();
  try {
    const first = await fetch(`${sink.url}/hooks?x=1`, { method: 'POST', headers: { 'webhook-id': 'dlv_1' }, body: ' {"a": 1}\n' });
    expect(first.status).toBe(204);
    sink.respondWith(() => ({ status: 503, headers: { 'retry-after': '7' }, body: 'busy' }));
    const second = await fetch(sink.url);
    expect([second.status, second.headers.get('retry-after'), await second.text()]).toEqual([503, '7', 'busy']);

    expect(sink.requests).toHaveLength(2);
    expect(sink.requests[0]).toMatchObject({ method: 'POST', path: '/hooks?x=1', headers: { 'webhook-id': 'dlv_1' } });
    expect(sink.requests[0]?.body.toString()).toBe(' {"a": 1}\n');
  } finally {
    await sink.stop();
  }
});

test('it stops although a request still waits for its answer', async () => {
  const sink = await startHttpSink();
  sink.respondWith(() => new Promise(() => undefined));
  const outcome = fetch(sink.url).catch(() => 'cut off');
  await waitFor(() => sink.requests.length > 0, { what: 'the request' });
  await sink.stop();
  expect(await outcome).toBe('cut off');
});
