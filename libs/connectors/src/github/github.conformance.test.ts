import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { startGitHubStandIn } from './github.stand-in.js';

const repository = { owner: 'acme', repo: 'shop' };
const issue = { number: 1, title: 'Old', labels: new Set<string>(), comments: [] };
const secret = 'a-secret-of-the-webhook';
const hook = (url: string) => ({ id: 7, active: true, events: ['push'], config: { url, secret } });

connectorConformance({
  name: 'github',
  start: startGitHubStandIn,
  settings: ({ url }) => ({ base: url }),
  writes: [
    { operation: 'createIssue', input: { ...repository, title: 'It breaks' }, effects: ({ issues }) => issues.length },
    {
      operation: 'addLabels',
      input: { ...repository, number: 1, labels: ['bug'] },
      prepare: ({ issues }) => void issues.push(issue),
      effects: ({ issues }) => (issues[0]!.labels.has('bug') ? 1 : 0),
    },
    {
      operation: 'createWebhook',
      input: { ...repository, url: 'https://m.example/webhooks/acme.shop', events: ['push'], secret },
      effects: ({ hooks }) => hooks.length,
    },
    {
      operation: 'updateWebhook',
      input: { ...repository, id: 7, url: 'https://a', events: ['issues'] },
      prepare: ({ hooks }) => void hooks.push(hook('https://a')),
      effects: ({ hooks }) => (hooks[0]!.events[0] === 'issues' && hooks[0]!.config.secret === secret ? 1 : 0),
    },
    {
      operation: 'deleteWebhook',
      input: { ...repository, id: 7 },
      prepare: ({ hooks }) => void hooks.push(hook('https://a')),
      effects: ({ hooks }) => 1 - hooks.length,
    },
  ],
  answers: [
    { as: 'limited', status: 403, headers: { 'retry-after': String(pauseMs / 1_000) }, body: { message: 'secondary rate limit' } },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) }, body: {} },
    {
      as: 'limited',
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '4102444800' },
      body: { message: 'rate limit' },
    },
    { as: 'credential', status: 401, body: { message: 'Bad credentials' } },
    { as: 'credential', status: 403, body: { message: 'Resource not accessible by personal access token' } },
    { as: 'permanent', status: 422, body: { message: 'Validation Failed' } },
    { as: 'uncertain', status: 502, body: {} },
  ],
  others: [{ status: 404, body: { message: 'Not Found' } }],
  lists: [
    {
      operation: 'listIssues',
      input: repository,
      count: 250,
      prepare: ({ issues }) => {
        for (let number = 1; number <= 250; number += 1) issues.push({ ...issue, number });
      },
    },
  ],
  hostile: [
    { operation: 'createIssue', input: (owner) => ({ ...repository, owner, title: 't' }), seen: ({ segments }) => segments[1] },
    { operation: 'createIssue', input: (title) => ({ ...repository, title }), seen: ({ body }) => (body as { title: string }).title },
  ],
});
