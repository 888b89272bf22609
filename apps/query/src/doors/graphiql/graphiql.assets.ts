import { hash } from 'node:crypto';
import { createRequire } from 'node:module';

/** A file of GraphiQL, as a browser gets it. */
export interface GraphiqlAsset {
  readonly type: string;
  readonly content: Buffer;
}

/** The path below which the version and the name of a file stand. A new version has new addresses, so browsers may keep files for good. */
export const assetsPath = '/graphql/assets';

/** GraphiQL as a browser gets it. */
interface Graphiql {
  readonly page: string;
  readonly version: string;
  readonly files: ReadonlyMap<string, GraphiqlAsset>;
}

/** The texts that the package exports. */
type Texts = Readonly<Record<'css' | 'js' | 'editorWorkerService' | 'graphqlWorker' | 'jsonWorker', string>>;

let loaded: Promise<Graphiql> | undefined;

/** The package is read when the first browser asks: its texts take some 10 MB. */
export function graphiql(): Promise<Graphiql> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Graphiql> {
  const require = createRequire(import.meta.url);
  const packaged = require('@graphql-yoga/render-graphiql/package.json') as { version: string };
  const version = `${packaged.version}-${hash('sha256', starterIn('')).slice(0, 8)}`;
  const { css, js, editorWorkerService, graphqlWorker, jsonWorker } = require('@graphql-yoga/render-graphiql/graphiql') as Texts;
  const folder = `${assetsPath}/${version}`;
  const asset = (type: string, text: string): GraphiqlAsset => ({ type: `${type}; charset=utf-8`, content: Buffer.from(text) });
  const script = (text: string): GraphiqlAsset => asset('text/javascript', text);
  const files = new Map([
    ['graphiql.css', asset('text/css', css)],
    ['graphiql.js', script(js)],
    ['start.js', script(starterIn(folder))],
    ['editor.worker.js', script(editorWorkerService)],
    ['graphql.worker.js', script(graphqlWorker)],
    ['json.worker.js', script(jsonWorker)],
  ]);
  return { page: pageIn(folder), version, files };
}

/** Runs in the browser: GraphiQL at this host, with subscriptions as server-sent events. Headers are kept only if the user asks for it. */
function starterIn(folder: string): string {
  return `
self.MonacoEnvironment = {
  globalAPI: false,
  getWorkerUrl: (_module, label) => '${folder}/' + (label === 'graphql' || label === 'json' ? label : 'editor') + '.worker.js',
};
YogaGraphiQL.renderYogaGraphiQL(document.querySelector('#root'), {
  title: 'Millrace',
  endpoint: '/graphql',
  subscriptionsProtocol: 'SSE',
  shouldPersistHeaders: false,
  headers: JSON.stringify({ authorization: 'Bearer YOUR_API_KEY' }, null, 2),
  defaultQuery: '# Write your API key under Headers, then fetch the schema again with the button at the left.\\n{\\n  events(first: 5) { nodes { id type receivedAt state } }\\n}\\n',
});
`;
}

function pageIn(folder: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Millrace</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="${folder}/graphiql.css" />
  </head>
  <body id="body" class="no-focus-outline">
    <noscript>GraphiQL needs JavaScript. Without it, send requests to this address as docs/graphql.md describes.</noscript>
    <div id="root"></div>
    <script src="${folder}/graphiql.js"></script>
    <script src="${folder}/start.js"></script>
  </body>
</html>
`;
}

/** Scripts, workers and requests of this host only. The editor writes style elements, so styles may stand inline. */
export const graphiqlPolicy = [
  `default-src 'none'`,
  `script-src 'self'`,
  `worker-src 'self'`,
  `connect-src 'self'`,
  `style-src 'self' 'unsafe-inline'`,
  `font-src data:`,
  `img-src 'self' data:`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
].join('; ');
