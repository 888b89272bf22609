/** `npm run capacity`: what a rate of events needs, from the figures that `npm run bench -- event --figures` measured. */
import { parseArgs } from 'node:util';
import { capacityOf, defaultOptions } from './capacity.js';
import { measuredFlows, readFigures } from './figures.js';
import { capacityTable } from './table.js';

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '100,1000,10000' },
    flow: { type: 'string', default: defaultOptions.flow },
    'event-bytes': { type: 'string', default: String(defaultOptions.eventBytes) },
    'retention-days': { type: 'string', default: String(defaultOptions.retentionDays) },
    'log-days': { type: 'string', default: String(defaultOptions.logDays) },
    replication: { type: 'string', default: String(defaultOptions.replication) },
    'model-ms': { type: 'string', default: String(defaultOptions.modelMs) },
  },
});
const flow = measuredFlows.find((name) => name === values.flow);
if (flow === undefined) {
  console.error(`--flow is one of ${measuredFlows.join(', ')}`);
  process.exit(2);
}
const options = {
  flow,
  eventBytes: Number(values['event-bytes']),
  retentionDays: Number(values['retention-days']),
  logDays: Number(values['log-days']),
  replication: Number(values.replication),
  modelMs: Number(values['model-ms']),
};
const rates = values.rates.split(',').map(Number);
const wrong = [...Object.values(options), ...rates].find((value) => typeof value === 'number' && !(value >= 0));
if (wrong !== undefined) {
  console.error('Rates, bytes, days, copies and times are numbers.');
  process.exit(2);
}
const figures = readFigures();
console.log(capacityTable(rates.map((rate) => capacityOf(figures, rate, options))));
