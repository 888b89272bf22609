import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { LogConsumer, OnRecord, RecordProducer, ensureTopics } from '#libs/messaging';
import { waitFor } from '#libs/testing';
import { registry } from '#libs/tracing';
import { startKafkaCluster } from '../kafka/cluster.js';
import type { KafkaCluster } from '../kafka/cluster.js';
import { javaRunsKafka } from '../kafka/java.js';
import { pem } from '../kafka/secured-listener.js';
import { startControlPlane } from './control-plane.js';
import type { ControlPlane } from './control-plane.js';
import { findRenderer, render } from './manifests.js';
import type { Manifest } from './manifests.js';
import { findKubernetes } from './programs.js';

interface ScaledObject {
  minReplicaCount: number;
  maxReplicaCount: number;
  advanced: { horizontalPodAutoscalerConfig: { behavior: Behavior } };
  triggers: { metadata: { query: string; threshold: string } }[];
}

interface Behavior {
  scaleUp: { stabilizationWindowSeconds: number; policies: { type: string; value: number; periodSeconds: number }[] };
  scaleDown: { stabilizationWindowSeconds: number; policies: { type: string; value: number; periodSeconds: number }[] };
}

const programs = await findKubernetes();
const canRun = typeof programs !== 'string' && (await javaRunsKafka());
if (!canRun) console.log(`Nothing is scaled: ${typeof programs === 'string' ? programs : 'there is no Java 17 with Maven for Kafka'}.`);

const Noted = recordType('noted.v1', z.object({ tenant: name, customer: customerKey, n: z.number() }));
const events: Topic = { name: 'scaling', partitions: 24, retentionMs: 3_600_000, types: [Noted] };
const metricsGroup = 'external.metrics.k8s.io/v1beta1';
const metricName = 'open-records';
const backlog = 9_000;

/**
 * A backlog on a real Kafka, measured by our consumer, moves the autoscaler that KEDA would make of the manifest. KEDA itself does not run here: this
 * server answers in its place, with the value of the trigger's query.
 */
describe.skipIf(!canRun)('the scaling of ai-processing', () => {
  let cluster: ControlPlane;
  let kafka: KafkaCluster;
  let scaledObject: ScaledObject;
  let workload: Manifest[];
  beforeAll(async () => {
    const manifests = await render((await findRenderer()) as [string, ...string[]], 'production');
    scaledObject = manifests.find(({ kind, metadata }) => kind === 'ScaledObject' && metadata.name === 'ai-processing')!
      .spec as ScaledObject;
    workload = manifests.filter(
      ({ kind, metadata }) => kind === 'Namespace' || (metadata.name.startsWith('ai-processing') && kind !== 'ScaledObject'),
    );
    const nodes = ['a', 'b', 'c'].map((zone) => ({ name: `node-${zone}`, zone }));
    [cluster, kafka] = await Promise.all([
      startControlPlane(programs as Exclude<typeof programs, string>, nodes),
      startKafkaCluster({ nodes: 1 }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([cluster?.stop(), kafka?.stop()]);
  });

  const replicas = async (): Promise<number> =>
    Number(await cluster.run(['get', 'deployment', 'ai-processing', '-n', 'millrace', '-o', 'jsonpath={.spec.replicas}']));

  test('follows a backlog up to its bound, and back when it is worked off', async () => {
    const { triggers, minReplicaCount, maxReplicaCount } = scaledObject;
    const [{ metadata }] = triggers as [ScaledObject['triggers'][number]];
    const source = await startMetricsServer(metadata.query);
    const gate = Promise.withResolvers<void>();
    const log = { brokers: kafka.brokers, clientId: 'scaling' };
    const producer = new RecordProducer(log);
    await ensureTopics(log, [events]);
    await producer.connect();
    @Controller()
    class Working {
      @OnRecord(events, Noted, { group: 'flows' })
      onNoted(): Promise<void> {
        return gate.promise;
      }
    }
    @Module({ controllers: [Working] })
    class Process {}
    const app = await NestFactory.createMicroservice(Process, { strategy: new LogConsumer({ ...log, producer }), logger: false });
    try {
      await app.listen();
      await cluster.run(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: workload.filter(({ kind }) => kind === 'Namespace') }),
      );
      await cluster.run(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...workload, ...source.registration, autoscaler(scaledObject)] }),
      );
      await waitFor(async () => (await replicas()) === minReplicaCount, { deadlineMs: 60_000, what: 'the least number of pods' });

      const appends = Array.from({ length: backlog }, (_, n) => producer.append(events, Noted, { tenant: 'acme', customer: `c${n}`, n }));
      await Promise.all(appends);
      await waitFor(async () => (await replicas()) === maxReplicaCount, { deadlineMs: 90_000, what: 'the bound' });
      const conditions = await cluster.run([
        'get',
        'hpa',
        'keda-ai-processing',
        '-n',
        'millrace',
        '-o',
        'jsonpath={.status.conditions[*].reason}',
      ]);
      expect(conditions).toContain('TooManyReplicas');

      gate.resolve();
      await waitFor(async () => (await replicas()) === minReplicaCount, { deadlineMs: 120_000, what: 'the least number of pods again' });
    } finally {
      gate.resolve();
      await app.close();
      await producer.disconnect();
      source.stop();
    }
  }, 300_000);
});

/** The autoscaler of KEDA for the first trigger, in which a minute is two seconds. */
function autoscaler({ minReplicaCount, maxReplicaCount, advanced, triggers }: ScaledObject): object {
  const { scaleUp, scaleDown } = advanced.horizontalPodAutoscalerConfig.behavior;
  const inTestTime = ({ policies }: Behavior['scaleUp']): Behavior['scaleUp'] => ({
    stabilizationWindowSeconds: 0,
    policies: policies.map((policy) => ({ ...policy, periodSeconds: Math.max(1, Math.round(policy.periodSeconds / 30)) })),
  });
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'keda-ai-processing', namespace: 'millrace' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'ai-processing' },
      minReplicas: minReplicaCount,
      maxReplicas: maxReplicaCount,
      behavior: { scaleUp: inTestTime(scaleUp), scaleDown: inTestTime(scaleDown) },
      metrics: [
        {
          type: 'External',
          external: { metric: { name: metricName }, target: { type: 'AverageValue', averageValue: triggers[0]!.metadata.threshold } },
        },
      ],
    },
  };
}

/** Answers the API server in place of KEDA's, with what this process measures. @param query `sum(METRIC{group="GROUP"})` */
async function startMetricsServer(query: string): Promise<{ registration: object[]; stop(): void }> {
  const [, measured, group] = /^sum\((\w+)\{group="(\w+)"\}\)$/.exec(query)!;
  const value = async (): Promise<number> => {
    const { values } = await registry.getSingleMetric(measured!)!.get();
    return values.filter(({ labels }) => labels['group'] === group).reduce((sum, one) => sum + one.value, 0);
  };
  const server = createServer({ cert: readFileSync(pem('server.pem')), key: readFileSync(pem('server.key')) }, (request, response) => {
    void (async () => {
      const resource = { name: metricName, singularName: '', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] };
      const items = [{ metricName, metricLabels: {}, timestamp: new Date().toISOString(), value: String(await value()) }];
      const answer = request.url!.includes('/namespaces/')
        ? { kind: 'ExternalMetricValueList', apiVersion: metricsGroup, metadata: {}, items }
        : { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: metricsGroup, resources: [resource] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const service = { name: 'metrics', namespace: 'millrace', port };
  return {
    registration: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'metrics', namespace: 'millrace' },
        spec: { type: 'ExternalName', externalName: 'localhost', ports: [{ port }] },
      },
      {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: 'v1beta1.external.metrics.k8s.io' },
        spec: {
          group: 'external.metrics.k8s.io',
          version: 'v1beta1',
          service,
          insecureSkipTLSVerify: true,
          groupPriorityMinimum: 100,
          versionPriority: 100,
        },
      },
    ],
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
