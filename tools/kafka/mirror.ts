import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { Program } from '../programs/program.js';
import { root } from '../programs/root.js';
import { cache, javaCommandOf, kafkaVersion } from './java.js';
import type { MavenJars } from './maven-jars.js';

/** The manifest whose settings the mirror has, here as in a cluster. */
const manifest = join(root, 'k8s', 'components', 'multi-region', 'mirror.yaml');
const jars: MavenJars = {
  title: `MirrorMaker ${kafkaVersion}`,
  source: join(root, 'tools', 'kafka', 'mirror'),
  target: join(cache, `mirror-${kafkaVersion}`, 'jars'),
};

interface Connector {
  readonly tasksMax: number;
  readonly config: Readonly<Record<string, string | number | boolean>>;
}

/** The parts of a KafkaMirrorMaker2 of Strimzi that say what is mirrored and how. */
export interface MirrorManifest {
  readonly kind: string;
  readonly spec: {
    readonly target: { readonly config: Connector['config'] };
    readonly mirrors: readonly {
      readonly topicsPattern: string;
      readonly sourceConnector: Connector;
      readonly checkpointConnector?: Connector;
    }[];
  };
}

export interface MirrorOptions {
  /** Bootstrap addresses of the log that is copied. */
  readonly source: readonly string[];
  /** Bootstrap addresses of the log that the copies are written to. One broker is enough: internal topics get one replica. */
  readonly target: readonly string[];
  /** The prefix of the topics, in place of that of the manifest. */
  readonly prefix: string;
  /** The folder of its settings and its log. */
  readonly directory: string;
}

/** MirrorMaker 2 in one process, with the settings of `k8s/components/multi-region`. */
export async function startMirror({ source, target, prefix, directory }: MirrorOptions): Promise<Program> {
  const java = await javaCommandOf(jars);
  const resources = parseAllDocuments(await readFile(manifest, 'utf8')).map((one) => one.toJS() as MirrorManifest);
  const mirror = resources.find(({ kind }) => kind === 'KafkaMirrorMaker2')!;
  const settings = {
    ...mirrorSettings(mirror, prefix),
    'there.bootstrap.servers': source.join(','),
    'here.bootstrap.servers': target.join(','),
  };
  const file = join(directory, 'mirror.properties');
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`);
  await writeFile(file, lines.join(''));
  return new Program(java('org.apache.kafka.connect.mirror.MirrorMaker', file), join(directory, 'mirror.log'));
}

/** The settings of MirrorMaker's own process that do what Strimzi does with the manifest, except that one broker holds every replica. */
export function mirrorSettings({ spec }: MirrorManifest, prefix: string): Record<string, string> {
  const [mirror] = spec.mirrors;
  const { sourceConnector, checkpointConnector, topicsPattern } = mirror!;
  const config = { ...spec.target.config, ...sourceConnector.config, ...checkpointConnector?.config };
  const policy = 'replication.policy.class';
  return {
    clusters: 'there, here',
    'there->here.enabled': 'true',
    'here->there.enabled': 'false',
    'there->here.topics': topicsPattern.replace('millrace\\.', prefix.replaceAll('.', '\\.')),
    'tasks.max': String(sourceConnector.tasksMax),
    [policy]: String(config[policy]),
    // Without their connectors in the manifest, Strimzi runs neither.
    'there->here.emit.heartbeats.enabled': 'false',
    'there->here.emit.checkpoints.enabled': String(checkpointConnector !== undefined),
    ...Object.fromEntries(
      Object.entries(config).flatMap(([name, value]) => {
        const set = name.endsWith('replication.factor') ? '1' : String(value);
        return [
          [name, set],
          [`there->here.${name}`, set],
        ];
      }),
    ),
  };
}
