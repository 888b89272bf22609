/**
 * The baseline of the acks bench: Fastify checks a GitHub signature over the raw body and responds, with no log behind it. This is the least that a
 * receiver has to do.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { fastify } from 'fastify';

const [port, secret] = process.argv.slice(2);
if (port === undefined || secret === undefined) throw new Error('usage: baseline-server <port> <secret>');

const server = fastify();
server.removeAllContentTypeParsers();
server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
server.get('/readyz', () => ({ status: 'ok' }));
server.post<{ Body: Buffer }>('/webhooks/:source', async (request, reply) => {
  const given = Buffer.from(String(request.headers['x-hub-signature-256']).slice('sha256='.length), 'hex');
  const expected = createHmac('sha256', secret).update(request.body).digest();
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.status(401).send({ error: 'signature' });
  return { eventIds: [request.headers['x-github-delivery']] };
});
await server.listen({ port: Number(port), host: '127.0.0.1' });
