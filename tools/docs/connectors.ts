import { readFileSync } from 'node:fs';
import { builtInConnectors } from '#libs/connectors';
import { webhookSchemes } from '#libs/contracts';
import type { ConnectorOperation, ConnectorSpec, ErrorRule } from '#libs/contracts';
import { promiseOf } from '#libs/deliveries';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');

/** The reference of the connectors that Millrace brings along: `docs/connectors.md`. */
export function connectorsPage(generated: string): string {
  const connectors = [...builtInConnectors()];
  const rows = connectors.map(([name, { summary, operations }]) => {
    const writes = Object.values(operations).filter(({ effect }) => effect === 'write').length;
    return `| [\`${name}\`](#${name}) | ${cell(summary)} | ${writes} | ${Object.keys(operations).length - writes} |`;
  });
  return [
    '# Connectors',
    '',
    generated,
    '',
    'A connector is the code for one kind of system, with an operation for each thing that it can do there. A [connection](connections.md) names its connector, and a destination of the kind `operation` names a connection and an operation that writes:',
    '',
    ...example,
    '',
    'The input of an operation is computed when a delivery is planned, so every attempt has the same one. It is checked against the schema of the operation before anything is sent. Values of data are always encoded where they stand in an address, a form, a header or a query; a value that cannot stand there is refused. Requests go to the hosts of the connector only, and follow no redirect.',
    '',
    'The promise of an operation says how often it takes effect, although an attempt may have to be repeated whose answer nobody has. An operation that sets an object (`upsert`) needs `order: strict` or `supersede`. Where the input decides what a request does, as in `rest`, the destination declares `idempotency` itself.',
    '',
    'An input that is an *address* decides whom or what the operation reaches; in a manifest its schema has `x-address: true`. Apply warns of a flow that takes an address from [what a model wrote](validated-output.md#who-chooses-where-it-goes).',
    '',
    'An operation with pages says in `paging.items` where the list of a page stands. A response without it, such as an error with status 200, is no empty page: the operation fails with `operation.outputInvalid`. Where the system leaves an empty list out, or sends XML, where a list of one is one value, `[response.body.orders]` makes a list of it.',
    '',
    'A tenant can apply a connector of its own, a document of the kind `Connector` in the form of the manifests below `libs/connectors/src`. Its name is none of these:',
    '',
    '| connector | what it is | writes | reads |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    ...connectors.flatMap(([name, spec]) => sectionOf(name, spec)),
  ].join('\n');
}

const example = [
  '```yaml',
  'apiVersion: millrace/v1',
  'kind: Connection',
  'metadata: { tenant: acme, name: crm }',
  'spec:',
  '  connector: hubspot',
  '  auth: { kind: bearer, token: { value: pat-eu1-… } }',
  '---',
  'apiVersion: millrace/v1',
  'kind: Destination',
  'metadata: { tenant: acme, name: contacts }',
  'spec:',
  '  kind: operation',
  '  connection: crm',
  '  operation: upsertObject',
  '  input: \'{ "type": "contacts", "idProperty": "email", "id": payload.email, "properties": { "firstname": payload.name } }\'',
  '  supersede: payload.email',
  '```',
];

function sectionOf(name: string, spec: ConnectorSpec): string[] {
  const auth = spec.auth.map(({ kind, note }) => `\`${kind}\`${note === undefined ? '' : ` (${note})`}`);
  const settings = propertiesOf(spec.settings);
  return [
    `## ${name}`,
    '',
    `${spec.summary} Hosts: ${spec.hosts.map((host) => `\`${host}\``).join(', ')}. Credentials: ${auth.join(', ')}.`,
    '',
    ...(settings.length === 0 ? [] : ['| setting | value | what it is |', '| --- | --- | --- |', ...settings, '']),
    ...(spec.limits.length === 0 ? [] : [...spec.limits.map((limit) => `- ${limit}`), '']),
    ...guideTo(name),
    ...webhooksOf(spec),
    ...(spec.base === undefined
      ? []
      : spec.errors.length === 0
        ? ['Responses mean what their statuses say.', '']
        : ['Responses that mean something else than their statuses say, the first rule that applies:', '', ...rulesOf(spec.errors), '']),
    ...Object.entries(spec.operations).flatMap(([operation, each]) => operationOf(operation, each)),
  ];
}

function webhooksOf({ webhooks }: ConnectorSpec): string[] {
  if (webhooks === undefined) return [];
  const how = webhooks.kind === 'manual' ? 'A person registers its webhooks' : 'It registers webhooks';
  const [scheme, ...others] = webhookSchemes(webhooks).map((each) => `\`${each}\``);
  const also = others.length === 0 ? '' : ` (also ${others.join(', ')})`;
  return [`${how} for sources of the scheme ${scheme}${also}: [Webhooks at partners](registration.md).`, ''];
}

/** The pages for people that have a section for some connectors. */
const guides = { 'Mail, databases and Kafka': 'mail-and-databases.md', 'APIs and storage': 'apis-and-storage.md' } as const;

function guideTo(connector: string): string[] {
  const found = Object.entries(guides).find(([, page]) => readFileSync(`docs/${page}`, 'utf8').includes(`\n## ${connector}\n`));
  return found === undefined ? [] : [`How it is used: [${found[0]}](${found[1]}#${connector}).`, ''];
}

function operationOf(name: string, { summary, effect, idempotency, input, errors, paging }: ConnectorOperation): string[] {
  const fields = propertiesOf(input);
  const promise = effect === 'read' ? 'Only reads.' : promiseIn(idempotency!);
  const pages = paging === undefined ? '' : ` Reads up to ${paging.maxPages} pages.`;
  return [
    `### ${name}`,
    '',
    `${summary} ${promise}${pages}`,
    '',
    ...(fields.length === 0 ? [] : ['| input | value | what it is |', '| --- | --- | --- |', ...fields, '']),
    ...(errors.length === 0 ? [] : [...rulesOf(errors), '']),
  ];
}

function promiseIn(idempotency: NonNullable<ConnectorOperation['idempotency']>): string {
  return idempotency.class === 'declared' ? 'The destination declares how often it takes effect.' : promiseOf(idempotency);
}

function rulesOf(rules: readonly ErrorRule[]): string[] {
  return rules.map(({ when, is, certain, waitMs, waitFrom, wait }) => {
    const waits = [
      wait === undefined ? undefined : 'a time that it computes',
      waitFrom && `\`${waitFrom}\``,
      waitMs === undefined ? undefined : `${waitMs} ms`,
    ];
    const pause = waits.filter((each) => each !== undefined).join(', else ');
    return `- \`${when.replaceAll(/\s*\n\s*/g, ' ').trim()}\`: ${is}${certain === false ? ', outcome unknown' : ''}${pause === '' ? '' : `; waits ${pause}`}`;
  });
}

interface SchemaPart {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly default?: unknown;
  readonly 'x-address'?: boolean;
}

/** The properties of an object as rows of a table. */
function propertiesOf(schema: Readonly<Record<string, unknown>>): string[] {
  const required = new Set((schema['required'] ?? []) as string[]);
  return Object.entries((schema['properties'] ?? {}) as Record<string, SchemaPart>).map(([name, part]) => {
    const kind =
      part.enum === undefined ? [part.type ?? 'any'].flat().join(' or ') : part.enum.map((one) => `\`${String(one)}\``).join(', ');
    const more = part.default === undefined ? (required.has(name) ? ', required' : '') : `, default \`${JSON.stringify(part.default)}\``;
    const address = part['x-address'] === true ? ', address' : '';
    return `| \`${name}\` | ${kind}${more}${address} | ${cell(part.description ?? '')} |`;
  });
}
