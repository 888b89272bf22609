import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGitHubStandIn } from './github/github.stand-in.js';
import { ConnectorHarness, withoutCredential } from './harness.conformance.js';

let github: Awaited<ReturnType<typeof startGitHubStandIn>>;
let harness: ConnectorHarness<typeof withoutCredential>;
beforeAll(async () => {
  github = await startGitHubStandIn();
  harness = new ConnectorHarness({
    name: 'github',
    url: github.url,
    settings: () => ({ base: github.url }),
    authorizer: withoutCredential,
  });
});
afterAll(async () => {
  await harness.close();
  await github.stop();
});

const page = { text: '<!DOCTYPE html><html><title>Sign in</title></html>' };
const saysPage =
  'the body is a web page and not JSON: check the address of the connection, and what may answer in its place, such as a login page or a proxy';

test.each([
  ['a web page', { ...page, headers: { 'content-type': 'text/html; charset=utf-8' } }, saysPage],
  ['a web page that says it is text', { ...page, headers: { 'content-type': 'text/plain' } }, saysPage],
  [
    'a text',
    { text: 'OK', headers: { 'content-type': 'text/plain' } },
    'the body is neither JSON nor XML that can be read (its content type is text/plain)',
  ],
  ['a text of no type', { text: 'OK', headers: {} }, 'the body is neither JSON nor XML that can be read (it has no content type)'],
  ['nothing', { text: '' }, 'it has no body'],
])('an operation that is answered with %s instead of JSON says so, whether it reads a list or an object', async (_, answer, why) => {
  const repository = { owner: 'acme', repo: 'shop' };
  for (const [operation, input] of [
    ['listWebhooks', repository],
    ['createIssue', { ...repository, title: 'It breaks' }],
  ] as const) {
    github.fault({ status: 200, ...answer });
    await expect(harness.run(operation, input)).rejects.toMatchObject({
      code: 'operation.outputInvalid',
      message: `The operation ${operation} was answered with status 200, of which it can make no output: ${why}`,
    });
  }
});
