import { wallTimeMs } from '#libs/time';
import { sampleSystemsUrl } from './sample-systems/sample-systems.js';
import type { Standalone } from './standalone.js';

/** The text that `npm start` prints: the addresses and commands to try first. */
export function welcome({ credentials, operationsUrl, first, modelReport, isExposed }: Standalone, directory: string): string {
  const { url, tenant, apiKey, systems } = credentials;
  const event = {
    specversion: '1.0',
    id: `ticket-${wallTimeMs()}`,
    source: 'tickets',
    type: 'ticket.opened',
    subject: 'cust-1',
    data: { message: 'I was charged twice, I want my money back!' },
  };
  return `
  Millrace runs on ${url}                     (data in ${directory}; stop with Ctrl-C)

  webhooks     POST ${url}/webhooks/${tenant}.{stripe,github,shopify,slack,helpdesk}
  events       POST ${url}/v1/events          (CloudEvents)
  page         ${url}/
  GraphQL      ${url}/graphql
  deliveries   ${url}/sample/crm              (the sample destination shows what it got)
${systems === undefined ? '' : `  systems      ${sampleSystemsUrl(systems)}/              (sample systems, in which the templates act)\n`}  operations   ${operationsUrl}/readyz  ${operationsUrl}/metrics
  model        ${modelReport.join('\n               ')}

  ${first ? `The sample tenant ${tenant} is there, with sources, the flow triage and a destination.` : `The tenant ${tenant} is as you left it.`} Keys and secrets: ${directory}/credentials.json
${isExposed ? exposed : ''}
  Try this:

  curl -s ${url}/v1/events -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/cloudevents+json' -d '${JSON.stringify(event)}'

  Or, in another terminal: npm run demo
  Flows for your own work: npm run -s millrace -- templates
`;
}

/** Shown if other machines can reach the process. */
const exposed = `
  Other machines can reach it (HOST), and it speaks plain HTTP: put a proxy with TLS before it.
  /metrics, the reasons in /readyz and /sample/crm need the operator's key (Authorization: Bearer …); the local model is for this process only.
  Deliveries go to public addresses; allow others with DELIVERY_ALLOWED_URLS or DELIVERY_ALLOW_PRIVATE_ADDRESSES=true.
`;
