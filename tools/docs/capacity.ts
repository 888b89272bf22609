import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { capacityOf, defaultOptions, services } from '../capacity/capacity.js';
import { measuredFlows, readFigures } from '../capacity/figures.js';
import type { FlowFigures, MeasuredFlow } from '../capacity/figures.js';
import { capacityTable } from '../capacity/table.js';

const rates = [100, 1_000, 10_000];
/** The options of the tables, besides the defaults. */
const shown: Readonly<Record<MeasuredFlow, { readonly modelMs: number; readonly what: string }>> = {
  deliver: { modelMs: 0, what: 'a flow that sends on what came' },
  assess: { modelMs: 1_000, what: 'the flow of the samples: one model call of a second, a check, a mapping, a delivery' },
};

interface Deployment {
  readonly kind: string;
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly [{ readonly resources: Resources }] } } };
}

interface Resources {
  readonly requests: Readonly<Record<'cpu' | 'memory', string>>;
  readonly limits: Readonly<Record<'memory', string>>;
}

/** The generated parts of `docs/capacity.md`, by their names. */
export function capacityParts(): Readonly<Record<string, string>> {
  const figures = readFigures();
  const tables = measuredFlows.map((flow) => {
    const { what, modelMs } = shown[flow];
    const options = { ...defaultOptions, flow, modelMs };
    const command = `npm run capacity -- --flow ${flow}${modelMs === 0 ? '' : ` --model-ms ${modelMs}`}`;
    const capacities = rates.map((rate) => capacityOf(figures, rate, options));
    return [`\`${command}\`: ${what}.`, '', capacityTable(capacities)].join('\n');
  });
  return {
    tables: tables.join('\n\n'),
    memory: memoryTable(figures.deliver, figures.assess),
    origin: measuredFlows.map((flow) => origin(flow, figures[flow])).join('\n'),
  };
}

function origin(flow: MeasuredFlow, figures: FlowFigures): string {
  const { command, day, load, bodyBytes, ratePerSecond, saturatedPerSecond, saturatedCpuMs, atRateCpuMs } = figures;
  const costs = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .filter(([name]) => name !== 'local-model')
      .map(([name, ms]) => `${name} ${ms.toFixed(2)}`)
      .join(', ');
  return `- \`${flow}\`: \`${command}\` on ${day}, load ${load} before it; ${bodyBytes} B per event. CPU per event in ms at ${ratePerSecond}/s: ${costs(atRateCpuMs)}. Saturated, ${saturatedPerSecond}/s on two cores with everything on them: ${costs(saturatedCpuMs)}.`;
}

function memoryTable(...flows: readonly FlowFigures[]): string {
  const most = (of: (flow: FlowFigures) => Readonly<Record<string, number>>, service: string): number =>
    Math.max(...flows.map((flow) => of(flow)[service] ?? 0));
  const rows = services.map((service) => {
    const { requests, limits } = resourcesOf(service);
    return `| \`${service}\` | ${most(({ restMiB }) => restMiB, service)} MiB | ${most(({ loadedMiB }) => loadedMiB, service)} MiB | ${requests.cpu}, ${requests.memory} | ${limits.memory} |`;
  });
  return ['| service | at rest | after load | requests in `k8s/base` | limit |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function resourcesOf(service: string): Resources {
  const documents = parseAllDocuments(readFileSync(`k8s/base/${service}/deployment.yaml`, 'utf8')).map((one) => one.toJS() as Deployment);
  return documents.find(({ kind }) => kind === 'Deployment')!.spec.template.spec.containers[0].resources;
}
