import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Kafka from the jars on Maven Central with Java 17. */

/** The checkout, whether this runs from its sources or from `dist`. */
const root = findPackageJSON(import.meta.url)!.replace(/package\.json$/, '');
const here = join(root, 'tools', 'kafka');
/** Jars, and the data of brokers; no part of the checkout. */
export const cache = join(root, '.kafka');
/** The jars' version stands in pom.xml too. */
export const kafkaVersion = '4.3.1';
const jars = join(cache, kafkaVersion, 'jars');

const run = promisify(execFile);

/** Whether a program runs here and ends well. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args, { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

export async function javaRunsKafka(): Promise<boolean> {
  return (await succeeds('java', '-version')) && ((await exists(jars)) || (await succeeds('mvn', '-version')));
}

/** A command that runs one of Kafka's classes: the program and its arguments. */
export type JavaCommand = (mainClass: string, ...args: string[]) => [program: string, args: string[]];

/** Fetches the jars where they are not here yet. */
export async function javaCommand(): Promise<JavaCommand> {
  await fetchJars();
  const logging = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`;
  const options = ['-Xmx384m', '-XX:+UseSerialGC', logging, '-cp', join(jars, '*')];
  // A broker whose starter was killed would stay for ever.
  const tied = await succeeds('setpriv', '--pdeathsig', 'KILL', 'true');
  return (mainClass, ...args) =>
    tied ? ['setpriv', ['--pdeathsig', 'KILL', 'java', ...options, mainClass, ...args]] : ['java', [...options, mainClass, ...args]];
}

/** A fetch that breaks off leaves nothing that looks whole. */
async function fetchJars(): Promise<void> {
  if (await exists(jars)) return;
  await mkdir(join(cache, kafkaVersion), { recursive: true });
  const draft = await mkdtemp(join(cache, kafkaVersion, 'fetching-'));
  const pom = join(here, 'pom.xml');
  await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`, '-DincludeScope=runtime']);
  await rename(draft, jars).catch(async (error: unknown) => {
    await rm(draft, { recursive: true });
    if (!(await exists(jars))) throw error; // another process was faster
  });
}

export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
