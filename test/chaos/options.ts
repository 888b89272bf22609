import { parseArgs } from 'node:util';
import { positive } from '../options.js';
import { defaultBefore } from './release-before.js';

/** The kinds of faults that the nemesis injects. All of them heal. */
export const injectedKinds = ['kill', 'pause', 'broker', 'postgres', 'worker', 'sink', 'desk', 'model', 'redis'] as const;
export type InjectedKind = (typeof injectedKinds)[number];
/** Runs with Redis have a flow more, and need its program, so only who names it has it. */
const usualKinds = injectedKinds.filter((kind) => kind !== 'redis');
/** `upgrade` is carried out alone: what it counts at the doors would mean nothing beside other faults. */
export const faultKinds = [...injectedKinds, 'upgrade'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** The log of the run: one Kafka broker, the local broker in a process of its own, or three Kafka brokers with replication 3. */
export const logKinds = ['kafka', 'local', 'kafka3'] as const;
export type LogKind = (typeof logKinds)[number];

export const plants = [
  'commit-early',
  'no-dedupe',
  'wrong-key',
  'repeat-unknown',
  'unstable-call-key',
  'unnoted-call',
  'late-write',
  'early-cursor',
  'mixed-outputs',
  'repeated-retry',
  'delivered-trial',
] as const;
export type Plant = (typeof plants)[number];

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Events that partners offer per second, whether or not they are accepted. */
  readonly rate: number;
  readonly customers: number;
  readonly log: LogKind;
  readonly faults: readonly InjectedKind[];
  /** The revision of the release before, from which to this one and back every process is taken; undefined: no upgrade. */
  readonly before: string | undefined;
  /** Deadline after the last fault for all work to be finished. */
  readonly quietMinutes: number;
  /** Also keeps the history and the output of the processes of a run that passed. */
  readonly keep: boolean;
  /** Runs a hostile tenant beside the others, in every second window of {@link hostileWindowMs}. */
  readonly hostile: boolean;
  /** Its actions, by the beginnings of their names; all if there is none. */
  readonly hostileActions: readonly string[];
  /** Lets a Prometheus scrape the services, and asks it every query of the dashboards at the end. */
  readonly watch: boolean;
  /** Bugs to plant in a copy of the compiled code. The run must find each. */
  readonly plants: readonly Plant[];
}

export const usage = `npm run chaos -- [--minutes 10] [--seed 42] [--rate 200] [--customers 50] [--log ${logKinds.join('|')}]
  [--faults ${injectedKinds.join(',')} | none | upgrade [--before REVISION]] [--quiet-minutes 3] [--plant ${plants.join('|')},…] [--keep] [--watch]
  [--hostile] [--hostile-action 'large apply']…`;

export const hostileWindowMs = 10_000;

/** @throws Error that names the wrong argument */
export function readOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: '42' },
      rate: { type: 'string', default: '200' },
      customers: { type: 'string', default: '50' },
      log: { type: 'string', default: 'local' },
      faults: { type: 'string', default: usualKinds.join(',') },
      before: { type: 'string', default: defaultBefore },
      'quiet-minutes': { type: 'string', default: '3' },
      plant: { type: 'string' },
      keep: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      hostile: { type: 'boolean', default: false },
      'hostile-action': { type: 'string', multiple: true, default: [] },
    },
  });
  const isUpgrade = values.faults === 'upgrade';
  return {
    minutes: positive('minutes', values.minutes),
    seed: positive('seed', values.seed),
    rate: positive('rate', values.rate),
    customers: positive('customers', values.customers),
    log: oneOf('log', logKinds, values.log),
    faults: isUpgrade || values.faults === 'none' ? [] : values.faults.split(',').map((kind) => oneOf('faults', injectedKinds, kind)),
    before: isUpgrade ? values.before : undefined,
    quietMinutes: positive('quiet-minutes', values['quiet-minutes']),
    plants: values.plant === undefined ? [] : values.plant.split(',').map((plant) => oneOf('plant', plants, plant)),
    keep: values.keep,
    watch: values.watch,
    hostile: values.hostile || values['hostile-action'].length > 0,
    hostileActions: values['hostile-action'],
  };
}

function oneOf<const V extends string>(option: string, values: readonly V[], text: string): V {
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`--${option} must be of ${values.join(', ')}; it is '${text}'`);
  return found;
}
