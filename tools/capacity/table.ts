import { services } from './capacity.js';
import type { Capacity } from './capacity.js';

/** A table of Markdown with a column for each rate. */
export function capacityTable(capacities: readonly Capacity[]): string {
  const row = (what: string, value: (capacity: Capacity) => string): string => `| ${[what, ...capacities.map(value)].join(' | ')} |`;
  return [
    row('', ({ eventsPerSecond }) => `${eventsPerSecond.toLocaleString('en').replaceAll(',', ' ')} events/s`),
    `| --- |${capacities.map(() => ' --- |').join('')}`,
    ...services.map((service) =>
      row(`\`${service}\`: pods, cores in use, memory in use`, ({ services: of }) => {
        const { pods, cores, memoryMiB } = of[service];
        return `${pods}, ${rounded(cores)}, ${gib(memoryMiB)}`;
      }),
    ),
    row('Postgres: cores in use', ({ postgresCores }) => rounded(postgresCores)),
    row('connections to Postgres', ({ connections }) => String(connections)),
    row('Postgres: a day, all of the retention', ({ postgresGbPerDay, postgresGb }) => `${disk(postgresGbPerDay)}, ${disk(postgresGb)}`),
    row('write-ahead log of Postgres a day', ({ walGbPerDay }) => disk(walGbPerDay)),
    row('the log: cores in use by all brokers', ({ logCores }) => rounded(logCores)),
    row('the log: a day, all of its retention, with all copies', ({ logGbPerDay, logGb }) => `${disk(logGbPerDay)}, ${disk(logGb)}`),
    row('partitions of each topic of events', ({ partitions }) => String(partitions)),
  ].join('\n');
}

function rounded(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

function gib(mib: number): string {
  return `${(mib / 1_024).toFixed(1)} GiB`;
}

function disk(gb: number): string {
  return gb < 1_000 ? `${gb.toFixed(gb < 10 ? 1 : 0)} GB` : `${(gb / 1_000).toFixed(1)} TB`;
}
