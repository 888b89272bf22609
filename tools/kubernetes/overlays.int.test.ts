import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '#libs/testing';
import { startControlPlane } from './control-plane.js';
import type { ControlPlane } from './control-plane.js';
import { folderOf, overlays } from './manifests.js';
import { findKubernetes } from './programs.js';

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { nodeName: string; containers: { image: string }[] };
}

const programs = await findKubernetes();
if (typeof programs === 'string') console.log(`Nothing is applied to a Kubernetes API: ${programs}.`);

const nodes = ['a', 'b', 'c'].flatMap((zone) => [1, 2].map((number) => ({ name: `${zone}${number}`, zone })));
const services = ['ingestion', 'ai-processing', 'connectors', 'query'];
const inMillrace = ['-n', 'millrace'];

describe.skipIf(typeof programs === 'string')('on a Kubernetes API', () => {
  let cluster: ControlPlane;
  beforeAll(async () => {
    cluster = await startControlPlane(programs as Exclude<typeof programs, string>, nodes);
    await cluster.run(['apply', '-f', 'k8s/base/namespace.yaml']);
  });
  afterAll(() => cluster?.stop());

  const pods = async (service: string): Promise<Pod[]> => {
    const { items } = JSON.parse(
      await cluster.run(['get', 'pods', ...inMillrace, '-l', `app.kubernetes.io/name=${service}`, '-o', 'json']),
    ) as { items: Pod[] };
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  const roll = (service: string, ...what: string[]) =>
    cluster.run(['rollout', ...what, `deployment/${service}`, ...inMillrace, ...(what[0] === 'status' ? ['--timeout=90s'] : [])]);

  test.each(overlays)('the overlay %s is accepted without a warning', async (overlay) => {
    const { status, said } = await cluster.kubectl(['apply', '-k', folderOf(overlay), '--dry-run=server', '--warnings-as-errors']);
    expect({ status, said }).toEqual({ status: 0, said: '' });
  });

  test.each([
    ['a misspelt field', 'livenessProbe:', 'livenesProbe:', 'unknown field "spec.template.spec.containers[0].livenesProbe"'],
    ['a misspelt field of a custom resource', 'pollingInterval:', 'polingInterval:', 'unknown field "spec.polingInterval"'],
    [
      'a container that may gain rights',
      'allowPrivilegeEscalation: false',
      'allowPrivilegeEscalation: true',
      'would violate PodSecurity "restricted:latest"',
    ],
    ['a container of root', 'runAsNonRoot: true', 'runAsNonRoot: false', 'would violate PodSecurity "restricted:latest"'],
    ['a range that is not in its block', '10.0.0.0/8', '10.0.0.0/40', 'must be a valid CIDR value'],
    ['a budget below zero', 'maxUnavailable: 1', 'maxUnavailable: -1', 'must be greater than or equal to 0'],
  ])('%s is refused', async (_, right, wrong, refused) => {
    const manifests = await cluster.run(['kustomize', folderOf('production')]);
    expect(manifests).toContain(right);
    const { status, said } = await cluster.kubectl(
      ['apply', '-f', '-', '--dry-run=server', '--warnings-as-errors'],
      manifests.replaceAll(right, wrong),
    );
    expect(status).not.toBe(0);
    expect(said).toContain(refused);
  });

  test('production runs in three zones, is replaced and set back without losing a pod, and is drained one pod at a time', async () => {
    await cluster.run(['apply', '-k', folderOf('production')]);
    await Promise.all(services.map((service) => roll(service, 'status')));
    await cluster.run(['wait', '--for=condition=Complete', 'job', '-l', 'app.kubernetes.io/name=migrate', ...inMillrace, '--timeout=60s']);

    // The autoscalers own the numbers: applying again does not set them back.
    await cluster.run(['scale', 'deployment/ingestion', 'deployment/ai-processing', '--replicas=3', ...inMillrace]);
    await cluster.run(['apply', '-k', folderOf('production')]);
    await Promise.all(['ingestion', 'ai-processing'].map((service) => roll(service, 'status')));
    for (const service of ['ingestion', 'ai-processing']) {
      const zones = new Set((await pods(service)).map(({ spec }) => spec.nodeName[0]));
      expect(zones).toEqual(new Set(['a', 'b', 'c']));
    }

    const images = async () => [...new Set((await pods('ingestion')).map(({ spec }) => spec.containers[0]!.image))];
    const before = await images();
    await cluster.run(['set', 'image', 'deployment/ingestion', 'millrace=millrace:next', ...inMillrace]);
    await roll('ingestion', 'status');
    await waitFor(async () => (await images()).join() === 'millrace:next', { deadlineMs: 60_000, what: 'the pods of the next release' });
    await roll('ingestion', 'undo');
    await roll('ingestion', 'status');
    await waitFor(async () => (await images()).join() === before.join(), { deadlineMs: 60_000, what: 'the pods of the release before' });

    // The first may go, the others only when its place is taken again: with no free node it is not.
    await cluster.run(['cordon', ...nodes.map(({ name }) => name)]);
    const outcomes: number[] = [];
    for (const { metadata } of await pods('ingestion')) {
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: metadata.name, namespace: 'millrace' } };
      const path = `/api/v1/namespaces/millrace/pods/${metadata.name}/eviction`;
      outcomes.push((await cluster.kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction))).status);
    }
    expect(outcomes).toEqual([0, 1, 1]);
    await cluster.run(['uncordon', ...nodes.map(({ name }) => name)]);
    await roll('ingestion', 'status');
    await cluster.run(['drain', 'a1', 'a2', '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=120s']);
    await Promise.all(services.map((service) => roll(service, 'status')));
    for (const service of services) for (const { spec } of await pods(service)) expect(spec.nodeName).not.toMatch(/^a/);
  });

  test('the standby of a second region runs no pod of Millrace', async () => {
    await cluster.run(['delete', 'namespace', 'millrace', '--timeout=90s']);
    await cluster.run(['apply', '-f', 'k8s/base/namespace.yaml']);
    await cluster.run(['apply', '-k', folderOf('production-multi-region')]);
    await Promise.all(services.map((service) => roll(service, 'status')));
    for (const service of services) expect(await pods(service)).toEqual([]);
  });
});
