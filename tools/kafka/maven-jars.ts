import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { endsWithParent, succeeds } from '../programs/program.js';

/** Java programs from jars on Maven Central, which are fetched when they are first needed. */
export interface MavenJars {
  /** Name and version, for messages. */
  readonly title: string;
  /** The folder of `pom.xml`, which names the versions, and of `jars.sha256`, the jars with their hashes as `sha256sum` prints them. */
  readonly source: string;
  /** The folder that the jars are fetched into. */
  readonly target: string;
}

const run = promisify(execFile);
/** Kafka's jars are 100 MB. */
const fetchTimeoutMs = 600_000;

export async function canRun(jars: MavenJars): Promise<boolean> {
  return (await succeeds('java', '-version')) && ((await exists(jars.target)) || (await succeeds('mvn', '-version')));
}

/** Returns the program and its arguments that run Java with these arguments. The process ends with its parent. */
export type JavaCommand = (...args: string[]) => [program: string, args: string[]];

/**
 * Fetches the jars if they are not there.
 * @throws Error if a jar is not the one whose hash is listed
 */
export async function javaWith(jars: MavenJars): Promise<JavaCommand> {
  await fetchJars(jars);
  const classPath = ['-cp', join(jars.target, '*')];
  const [program, before] = await endsWithParent(['java', classPath]);
  return (...args) => [program, [...before, ...args]];
}

/** Fetches into a temporary folder and renames it, so that an interrupted fetch is not taken for a complete one. */
async function fetchJars({ title, source, target }: MavenJars): Promise<void> {
  if (await exists(target)) return;
  await mkdir(dirname(target), { recursive: true });
  const draft = await mkdtemp(join(dirname(target), 'fetching-'));
  process.stderr.write(`Fetching ${title} from Maven Central, once …\n`);
  try {
    const options = [`-DoutputDirectory=${draft}`, '-DincludeScope=runtime'];
    await run('mvn', ['-q', '-B', '-C', '-f', join(source, 'pom.xml'), 'dependency:copy-dependencies', ...options], {
      timeout: fetchTimeoutMs,
    });
    await checkJars(draft, await readFile(join(source, 'jars.sha256'), 'utf8'));
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true });
    if (!(await exists(target))) throw error; // another process was faster
  }
}

/**
 * @param listed lines of `sha256sum`
 * @throws Error unless the folder has exactly the jars that are listed
 */
export async function checkJars(folder: string, listed: string): Promise<void> {
  const expected = new Map(
    listed
      .trimEnd()
      .split('\n')
      .map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
  );
  const found = await readdir(folder);
  const missing = [...expected.keys()].filter((name) => !found.includes(name));
  if (missing.length > 0) throw new Error(`jars.sha256 lists jars that were not fetched: ${missing.join(', ')}`);
  for (const name of found) {
    if (expected.get(name) !== (await sha256Of(join(folder, name)))) {
      throw new Error(`${name} was fetched, but jars.sha256 ${expected.has(name) ? 'has another hash for it' : 'does not list it'}`);
    }
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
