import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { startStandIn } from '../stand-in.js';

const failed = (code: string | undefined, message = 'no') => ({
  data: null,
  errors: [{ message, ...(code === undefined ? {} : { extensions: { code } }) }],
});

connectorConformance({
  name: 'graphql',
  start: async () => {
    const tags = new Set<string>();
    const standIn = await startStandIn(({ body }) => {
      const { variables } = body as { variables: { tag?: string } };
      if (variables.tag !== undefined) tags.add(variables.tag);
      return { status: 200, body: { data: { addTag: { tags: [...tags] } } } };
    });
    return { ...standIn, tags };
  },
  settings: ({ url }) => ({ base: `${url}/graphql` }),
  writes: [
    {
      operation: 'mutate',
      input: { document: 'mutation ($tag: String!) { addTag(tag: $tag) { tags } }', variables: { tag: 'vip' } },
      effects: ({ tags }) => tags.size,
    },
  ],
  answers: [
    { as: 'permanent', status: 200, body: failed('BAD_USER_INPUT') },
    { as: 'permanent', status: 400, body: failed(undefined) },
    { as: 'limited', status: 200, headers: { 'retry-after': String(pauseMs / 1_000) }, body: failed('THROTTLED') },
    { as: 'limited', status: 200, headers: { 'retry-after': String(pauseMs / 1_000) }, body: failed('RATE_LIMITED') },
    { as: 'credential', status: 200, body: failed('UNAUTHENTICATED') },
    { as: 'credential', status: 401, body: {} },
    { as: 'uncertain', status: 200, body: failed('INTERNAL_SERVER_ERROR') },
    { as: 'uncertain', status: 502, body: {} },
  ],
  hostile: [
    {
      operation: 'mutate',
      input: (text) => ({ document: 'mutation', variables: { tag: text } }),
      seen: ({ body }) => (body as { variables: { tag: string } }).variables.tag,
    },
  ],
});
