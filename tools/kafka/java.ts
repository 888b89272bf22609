import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Kafka from the jars on Maven Central with Java 17. */

/** The root of the checkout, for sources and for `dist`. */
const root = findPackageJSON(import.meta.url)!.replace(/package\.json$/, '');
const here = join(root, 'tools', 'kafka');
/** Folder for the jars and the data of brokers; git ignores it. */
export const cache = join(root, '.kafka');
/** The version in pom.xml must be the same. */
export const kafkaVersion = '4.3.1';
const jars = join(cache, kafkaVersion, 'jars');

const run = promisify(execFile);

/** Resolves with true if the program can be run and exits with 0. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args, { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

export async function javaRunsKafka(): Promise<boolean> {
  return (await succeeds('java', '-version')) && ((await exists(jars)) || (await succeeds('mvn', '-version')));
}

/** Returns the program and its arguments that run a class of Kafka. */
export type JavaCommand = (mainClass: string, ...args: string[]) => [program: string, args: string[]];

/** Fetches the jars if they are not in the cache. */
export async function javaCommand(): Promise<JavaCommand> {
  await fetchJars();
  const logging = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`;
  const options = ['-Xmx384m', '-XX:+UseSerialGC', logging, '-cp', join(jars, '*')];
  // Without it a broker would outlive a parent that was killed.
  const tied = await succeeds('setpriv', '--pdeathsig', 'KILL', 'true');
  return (mainClass, ...args) =>
    tied ? ['setpriv', ['--pdeathsig', 'KILL', 'java', ...options, mainClass, ...args]] : ['java', [...options, mainClass, ...args]];
}

/** Fetches into a temporary folder and renames it, so that an interrupted fetch is not taken for a complete one. */
async function fetchJars(): Promise<void> {
  if (await exists(jars)) return;
  await mkdir(join(cache, kafkaVersion), { recursive: true });
  const draft = await mkdtemp(join(cache, kafkaVersion, 'fetching-'));
  const pom = join(here, 'pom.xml');
  process.stderr.write(`Fetching Kafka ${kafkaVersion} from Maven Central, once …\n`);
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
