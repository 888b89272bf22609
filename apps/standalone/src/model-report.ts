import type { Document } from '#libs/contracts';
import { unlistedModels } from '#libs/documents';
import type { ModelGateway } from '#libs/models';
import { timeoutSignal, wallTime } from '#libs/time';
import type { SampleCredentials } from './data-directory.js';
import { ask } from './samples.js';

const timeoutMs = 5_000;
const flowsOfTenant = '{ documents(kind: Flow) { name content } }';

/**
 * The lines that somebody who set MODEL_BASE_URL has to read at the start: whether the model provider can be used, and which flows of the tenant name a
 * model that it does not list.
 */
export async function modelReport(models: ModelGateway, { url, operatorKey }: SampleCredentials): Promise<string[]> {
  let names: readonly string[];
  try {
    names = await models.endpoint.models(timeoutSignal(timeoutMs));
  } catch (error) {
    return [
      `cannot be used: ${(error as Error).message}`,
      'Events are taken and wait for it. Check MODEL_BASE_URL and MODEL_API_KEY, and start again.',
    ];
  }
  const lists = [{ address: models.endpoint.address, models: names, listedAt: wallTime() }];
  const { documents } = await ask<{ documents: { name: string; content: Document }[] }>({ url, operatorKey }, flowsOfTenant);
  const wrong = documents.filter(({ content }) => unlistedModels(content, lists).length > 0).map(({ name }) => name);
  return [
    `${models.endpoint.address} ${names.length === 0 ? '(it lists no models)' : `(lists ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' …' : ''})`}`,
    ...wrong.flatMap((flow) => [
      `The flow ${flow} names a model that is not listed, so its events would be given up. Name another one:`,
      `npm run -s millrace -- models; npm run -s millrace -- get flow ${flow} > flow.yaml; edit it; npm run -s millrace -- apply -f flow.yaml`,
    ]),
  ];
}
