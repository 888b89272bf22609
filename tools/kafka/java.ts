import { join } from 'node:path';
import { root } from '../programs/root.js';
import { canRun, javaWith } from './maven-jars.js';
import type { JavaCommand, MavenJars } from './maven-jars.js';

/** Kafka from the jars on Maven Central with Java 17. */

const here = join(root, 'tools', 'kafka');
/** Folder for the jars and the data of brokers; git ignores it. */
export const cache = join(root, '.kafka');
/** The version in pom.xml must be the same. */
export const kafkaVersion = '4.3.1';
const jars: MavenJars = { title: `Kafka ${kafkaVersion}`, source: here, target: join(cache, kafkaVersion, 'jars') };

export async function javaRunsKafka(): Promise<boolean> {
  return canRun(jars);
}

/** Returns the command that runs a class of Kafka. Fetches the jars if they are not in the cache. */
export function javaCommand(): Promise<JavaCommand> {
  return javaCommandOf(jars);
}

/** Returns the command that runs a class of a program of the Kafka project, with the memory and the logging of a broker. */
export async function javaCommandOf(of: MavenJars): Promise<JavaCommand> {
  const java = await javaWith(of);
  const logging = `-Dlog4j2.configurationFile=${join(here, 'log4j2.properties')}`;
  return (...args) => java('-Xmx384m', '-XX:+UseSerialGC', logging, ...args);
}
