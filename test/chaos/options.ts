import { parseArgs } from 'node:util';

/** What the nemesis may do. Every one of them heals. */
export const faultKinds = ['kill', 'pause', 'broker', 'postgres', 'worker', 'sink', 'model'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Which log the run is on: a real Kafka, the local broker in a process of its own, or three Kafka brokers with replication 3. */
export const logKinds = ['kafka', 'local', 'kafka3'] as const;
export type LogKind = (typeof logKinds)[number];

export const plants = ['commit-early', 'no-dedupe', 'wrong-key'] as const;
export type Plant = (typeof plants)[number];

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Events that partners offer per second, whether or not the door takes them. */
  readonly rate: number;
  readonly customers: number;
  readonly log: LogKind;
  readonly faults: readonly FaultKind[];
  /** How long after the last fault everything may take to come to its end. */
  readonly quietMinutes: number;
  /** Keeps the history and the processes' output of a run that passed, too. */
  readonly keep: boolean;
  /** A bug that is planted in a copy of the compiled code: the run must find it. */
  readonly plant: Plant | undefined;
}

export const usage = `npm run chaos -- [--minutes 10] [--seed 42] [--rate 200] [--customers 50] [--log ${logKinds.join('|')}]
  [--faults ${faultKinds.join(',')} | none] [--quiet-minutes 3] [--plant ${plants.join('|')}] [--keep]`;

/** @throws Error with what is wrong in the arguments */
export function readOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: '42' },
      rate: { type: 'string', default: '200' },
      customers: { type: 'string', default: '50' },
      log: { type: 'string', default: 'local' },
      faults: { type: 'string', default: faultKinds.join(',') },
      'quiet-minutes': { type: 'string', default: '3' },
      plant: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  return {
    minutes: positive('minutes', values.minutes),
    seed: positive('seed', values.seed),
    rate: positive('rate', values.rate),
    customers: positive('customers', values.customers),
    log: oneOf('log', logKinds, values.log),
    faults: values.faults === 'none' ? [] : values.faults.split(',').map((kind) => oneOf('faults', faultKinds, kind)),
    quietMinutes: positive('quiet-minutes', values['quiet-minutes']),
    plant: values.plant === undefined ? undefined : oneOf('plant', plants, values.plant),
    keep: values.keep,
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a number above 0; it is '${text}'`);
  return value;
}

function oneOf<const V extends string>(option: string, values: readonly V[], text: string): V {
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`--${option} must be of ${values.join(', ')}; it is '${text}'`);
  return found;
}
