import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes, logLevel } from 'kafkajs';
import type { AclEntry } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { freePort } from '#libs/ports';
import { createTopics, freshDatabase } from '#libs/testing';
import { startKafkaCluster } from '../../tools/kafka/cluster.js';
import type { KafkaCluster } from '../../tools/kafka/cluster.js';
import { javaRunsKafka } from '../../tools/kafka/java.js';
import { jaas, pem, tlsSettings } from '../../tools/kafka/secured-listener.js';
import { fourProcesses } from '../forms/forms.js';
import { ServiceProcess } from '../forms/service-process.js';
import { journeySettings, journeys } from './journeys.js';

interface KafkaUser {
  metadata: { name: string };
  spec: {
    authorization: {
      acls: { resource: { type: 'topic' | 'group'; name: string; patternType?: 'literal' | 'prefix' }; operations: string[] }[];
    };
  };
}

interface KafkaTopic {
  metadata: { name: string };
  spec: { partitions: number; replicas: number; config: Record<string, string> };
}

const manifests = <T>(file: string): T[] =>
  parseAllDocuments(readFileSync(`k8s/components/strimzi/${file}`, 'utf8')).map((one) => one.toJS() as T);
const users = manifests<KafkaUser>('users.yaml');
const topics = manifests<KafkaTopic>('topics.yaml');
const nodes = 3;
const password = 'password-of-a-service';

/** Turns a name of Kafka, such as DescribeConfigs, into that of kafkajs, DESCRIBE_CONFIGS. */
const upper = (name: string): string => name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();

/** The rights of a user of Strimzi as its operator gives them. */
function aclsOf({ metadata, spec }: KafkaUser): AclEntry[] {
  return spec.authorization.acls.flatMap(({ resource, operations }) =>
    operations.map((operation) => ({
      principal: `User:${metadata.name}`,
      host: '*',
      resourceType: AclResourceTypes[upper(resource.type) as keyof typeof AclResourceTypes],
      resourceName: resource.name,
      resourcePatternType: resource.patternType === 'prefix' ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
      operation: AclOperationTypes[upper(operation) as keyof typeof AclOperationTypes],
      permissionType: AclPermissionTypes.ALLOW,
    })),
  );
}

/** Three brokers of which clients know one listener: TLS with a login by SCRAM. Brokers talk to each other in the clear, as nobody. */
async function startSecuredCluster(): Promise<{ kafka: KafkaCluster; logins: string[] }> {
  const ports = await Promise.all(Array.from({ length: nodes }, () => freePort()));
  const logins = ports.map((port) => `127.0.0.1:${port}`);
  const taken = new Map<string, string>();
  const kafka = await startKafkaCluster({
    nodes,
    users: Object.fromEntries(users.map(({ metadata }) => [metadata.name, password])),
    settings: ({ broker, controller }) => {
      const login = taken.get(broker) ?? logins[taken.size]!;
      taken.set(broker, login);
      return {
        listeners: `PLAINTEXT://${broker},CONTROLLER://${controller},LOGIN://${login}`,
        'advertised.listeners': `PLAINTEXT://${broker},LOGIN://${login}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL',
        ...tlsSettings('login'),
        'listener.name.login.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
        'listener.name.login.scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule'),
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS',
        'default.replication.factor': '3',
        'min.insync.replicas': '2',
      };
    },
  });
  return { kafka, logins };
}

/** Creates the topics and rights of the manifests, as Strimzi's operators do. */
async function applyManifests(brokers: readonly string[]): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await createTopics(
    admin,
    topics.map(({ metadata, spec }) => ({
      topic: metadata.name,
      numPartitions: spec.partitions,
      replicationFactor: spec.replicas,
      configEntries: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
    })),
  );
  await admin.createAcls({ acl: users.flatMap(aclsOf) });
  await admin.disconnect();
}

const settings = {
  KAFKA_ACK_COPIES: '2',
  KAFKA_TLS: 'true',
  KAFKA_CA_FILE: pem('ca.pem'),
  KAFKA_SASL_MECHANISM: 'scram-sha-512',
  KAFKA_SASL_PASSWORD: password,
};
const loginOf = (service: string): Record<string, string> => ({ KAFKA_SASL_USERNAME: `kafka-${service}` });
const secretsKey = randomBytes(32).toString('base64');

const canRun = await javaRunsKafka();
if (!canRun) console.log('The journeys do not run on a secured Kafka: there is no Java 17 with Maven.');

/** With the topics, logins and rights of k8s/components/strimzi, on three brokers. No login may create a topic. */
describe.skipIf(!canRun)('on a log with TLS, logins and rights', () => {
  let cluster: Awaited<ReturnType<typeof startSecuredCluster>>;
  beforeAll(async () => {
    cluster = await startSecuredCluster();
    await applyManifests(cluster.kafka.brokers);
  });
  afterAll(() => cluster?.kafka.stop());

  journeys(async (otlpUrl) => {
    const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
    return fourProcesses({
      otlpUrl,
      logPrefix: 'millrace.',
      settings: { ...journeySettings, ...settings },
      settingsOf: (service): Record<string, string> => (service === 'local-model' ? {} : loginOf(service)),
      brokers: cluster.logins,
      databaseUrl,
      queryDatabaseUrl,
      secretsKey,
    });
  });

  test('another door starts while Postgres is away, from the copy of the configuration that query wrote', async () => {
    const door = new ServiceProcess('ingestion', await freePort(), {
      ...settings,
      ...loginOf('ingestion'),
      KAFKA_BROKERS: cluster.logins.join(','),
      DATABASE_URL: `postgres://millrace_service:x@127.0.0.1:${await freePort()}/millrace`,
      SECRETS_KEY: secretsKey,
      STOP_DELAY_MS: '0',
    });
    onTestFinished(async () => void (await door.stop()));
    await door.start();
    const { status, parts } = (await (await fetch(`${door.url}/readyz`)).json()) as { status: string; parts: Record<string, string> };
    expect(status).toBe('degraded');
    expect(parts['configuration age']).toMatch(/^read from the log’s copy/);
  });
});
