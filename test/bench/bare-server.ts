/** The baseline of the bench of ack latency: node:http reads a body and answers 202. */
import { createServer } from 'node:http';

const [port] = process.argv.slice(2);
if (port === undefined) throw new Error('usage: bare-server <port>');

createServer((request, response) => {
  request.on('data', () => undefined);
  request.on('end', () => response.writeHead(202, { 'content-length': 0 }).end());
}).listen(Number(port), '127.0.0.1');
