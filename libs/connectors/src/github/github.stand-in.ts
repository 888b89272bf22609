import type { Json } from '#libs/json';
import { startStandIn } from '../stand-in.js';
import type { StandInHandler, StandInResponse, VendorStandIn } from '../stand-in.js';

interface Hook {
  readonly id: number;
  active: boolean;
  events: string[];
  config: { url?: string; content_type?: string; secret?: string };
}

interface Issue {
  readonly number: number;
  readonly title: string;
  readonly labels: Set<string>;
  readonly comments: string[];
}

/** GitHub’s REST API as far as operations use it, with the issues and webhooks of one repository. */
export interface GitHubState {
  readonly issues: Issue[];
  readonly hooks: Hook[];
}

export type GitHubStandIn = VendorStandIn & GitHubState;

const json = (status: number, body: Json | object, headers = {}): StandInResponse => ({ status, headers, body: body as object });
const missing = json(404, { message: 'Not Found' });

export async function startGitHubStandIn(): Promise<GitHubStandIn> {
  const { handle, ...state } = gitHubStandIn();
  return { ...(await startStandIn(handle)), ...state };
}

export function gitHubStandIn(): GitHubState & { handle: StandInHandler } {
  const [issues, hooks]: [Issue[], Hook[]] = [[], []];
  let lastId = 0;
  const handle: StandInHandler = ({ method, segments, query, body }) => {
    const [root, , , list, idText, part] = segments;
    if (root === 'rate_limit') return json(200, { rate: { remaining: 4_999 } });
    if (root !== 'repos') return missing;
    const given = (body ?? {}) as unknown as {
      title?: string;
      body?: string;
      labels?: string[];
      events?: string[];
      active?: boolean;
      config?: Hook['config'];
    };
    if (list === 'issues') {
      if (method === 'GET')
        return page(
          issues.map(({ number, title }) => ({ number, title })),
          segments,
          query,
        );
      const known = issues.find(({ number }) => number === Number(idText));
      if (idText === undefined) {
        const made = { number: issues.length + 1, title: given.title!, labels: new Set(given.labels), comments: [] };
        issues.push(made);
        return json(201, { number: made.number, title: made.title });
      }
      if (known === undefined) return missing;
      if (part === 'labels') {
        for (const label of given.labels!) known.labels.add(label);
        return json(
          200,
          [...known.labels].map((name) => ({ name })),
        );
      }
      known.comments.push(given.body!);
      return json(201, { id: known.comments.length });
    }
    const hook = hooks.find(({ id }) => id === Number(idText));
    if (method === 'GET') return page(hooks.map(shown), segments, query);
    if (method === 'POST') {
      if (hooks.some(({ config }) => config.url === given.config?.url))
        return json(422, { message: 'Validation Failed', errors: [{ message: 'Hook already exists on this repository' }] });
      lastId += 1;
      const made = { id: lastId, active: true, events: given.events!, config: given.config! };
      hooks.push(made);
      return json(201, shown(made));
    }
    if (hook === undefined) return missing;
    if (method === 'DELETE') {
      hooks.splice(hooks.indexOf(hook), 1);
      return { status: 204 };
    }
    hook.events = given.events ?? hook.events;
    hook.active = given.active ?? hook.active;
    if (given.config !== undefined) hook.config = given.config; // without a secret, the one before is gone
    return json(200, shown(hook));
  };
  return { handle, issues, hooks };
}

/** The secret is never shown. */
function shown({ config, ...hook }: Hook): object {
  return { ...hook, config: { ...config, ...(config.secret === undefined ? {} : { secret: '********' }) } };
}

function page(items: readonly object[], segments: readonly string[], query: URLSearchParams): StandInResponse {
  const [size, number] = [Number(query.get('per_page') ?? 30), Number(query.get('page') ?? 1)];
  const more = new URLSearchParams(query);
  more.set('page', String(number + 1));
  const next = number * size < items.length ? { link: `</${segments.join('/')}?${more.toString()}>; rel="next"` } : {};
  return json(200, items.slice((number - 1) * size, number * size), next);
}
