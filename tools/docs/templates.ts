import { templateNamed, templateNames } from '../cli/src/templates/template.js';
import { templatePage } from '../cli/src/templates/template.page.js';

/** The page of the templates, from their folders. */
export function templatesPage(generated: string): string {
  const all = templateNames().map(templateNamed);
  const rows = all.map(({ name, title, summary }) => `| [\`${name}\`](#${anchorOf(title)}) | ${summary} |`);
  return [
    '# Templates',
    '',
    generated,
    '',
    intro,
    '',
    '| template | what it does |',
    '| --- | --- |',
    ...rows,
    '',
    parts,
    '',
    all.map((template) => templatePage(template, { heading: '##' })).join('\n'),
  ].join('\n');
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-');
}

const intro = `A template is a flow to begin with: documents, sample events, tests of the flow, and what comes of each sample. Each runs on a laptop with nothing but \`npm start\`, because that serves stand-ins of the
systems in which the flow acts.

\`\`\`sh
npm start                                                     # in one terminal
npm run -s millrace -- templates                              # in another: the list
npm run -s millrace -- templates run order-fraud-check        # applies the documents, sends the samples, and prints decisions and effects
npm run -s millrace -- init order-fraud-check my-flow         # writes a copy of your own to my-flow/
npm run -s millrace -- templates run ./my-flow                # runs the copy
npm run -s millrace -- flows test my-flow/tests.yaml          # tests its flow without a server
\`\`\``;

const parts = `## What a template has

| file | what it is |
| --- | --- |
| \`documents/\` | the source or schedule, the connections, the destinations and the flow, as \`millrace apply\` takes them |
| \`events/\` | the sample events, as \`millrace events send\` takes them in a file |
| \`tests.yaml\` | tests of the flow, as \`millrace flows test\` takes them |
| \`template.yaml\` | for \`templates run\`: the objects that the sample systems have before, and of each sample the decision, the effects and, where a step asks a person, the answer (\`review\`) |
| \`README.md\` | the page of the template, with its picture, in a copy made by \`init\` |

\`templates run NAME\` changes no document of the same name that is not as the template has it: make a copy, change that, and run it. A run of a copy applies what its files say. The exit status is 1 if
a decision or an effect is not as \`template.yaml\` says; what differs is printed.

The sample systems (Shopify, HubSpot, Slack, an HTTP API called the back office, a mail server) are small servers on loopback, whose addresses \`npm start\` prints. They keep what is written in memory until the
process ends; after a restart, a run of the template puts its objects back. They show what they have: \`/\` lists them, \`/slack\` shows what Slack has, \`/effects?after=0\` what was done. Who writes needs the token \`secrets.systems\` of \`credentials.json\`. The stand-ins of Shopify, HubSpot and
Slack are those that the connectors are tested against. They do not judge credentials, scopes or the names of fields as the vendors do.

The answers of the model are those of the [local model](local-model.md). With a real one, name it in the \`infer\` step; decisions may then differ from the tables below.

In pictures, cylinders are read from, boxes with double sides are acted in, hexagons are asked.`;
