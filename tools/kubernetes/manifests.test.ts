import { beforeAll, describe, expect, test } from 'vitest';
import { findRenderer, overlays, render } from './manifests.js';
import type { Manifest, Overlay } from './manifests.js';
import { namespaceProblems, podProblems, scalingProblems, settingProblems } from './problems.js';
import { typeProblems } from './types.js';

/** Seconds on an idle machine; the compiler reads all published types. */
const checkTimeoutMs = 60_000;

const renderer = await findRenderer();
if (typeof renderer === 'string') console.log(`The manifests are not checked: ${renderer}.`);

describe.skipIf(typeof renderer === 'string')('the manifests', { timeout: checkTimeoutMs }, () => {
  const rendered = new Map<Overlay, Manifest[]>();
  beforeAll(async () => {
    for (const overlay of overlays) rendered.set(overlay, await render(renderer as Exclude<typeof renderer, string>, overlay));
  }, checkTimeoutMs);

  test.each(overlays)('of %s fit the published types, the settings of the services and our rules', (overlay) => {
    const manifests = rendered.get(overlay)!;
    expect(manifests.length).toBeGreaterThan(30);
    const checks = [typeProblems, settingProblems, scalingProblems, podProblems, namespaceProblems];
    expect(checks.flatMap((check) => check(manifests))).toEqual([]);
  });

  test.each([
    ['Deployment', 'ingestion', /"livenessProbe"/g, '"livenesProbe"', "'livenesProbe' does not exist"],
    ['Deployment', 'query', /"maxSurge":1/g, '"maxSurge":true', "Type 'true' is not assignable"],
    ['ScaledObject', 'connectors', /"pollingInterval"/g, '"polingInterval"', "'polingInterval' does not exist"],
    ['Cluster', 'millrace-postgres', /"walStorage"/g, '"wallStorage"', "'wallStorage' does not exist"],
    ['Kafka', 'millrace', /"listeners"/g, '"listener"', "'listener' does not exist"],
    ['ScaledObject', 'ai-processing', /"threshold"/g, '"treshold"', 'a trigger of type prometheus has no treshold'],
    ['ScaledObject', 'ai-processing', /"maxReplicaCount":20/g, '"maxReplicaCount":40', 'maxReplicaCount is above 20'],
    ['ScaledObject', 'ai-processing', /"fallback":\{[^}]*\},/g, '', 'it has no fallback'],
    ['ConfigMap', 'connectors', /"KAFKA_TLS"/g, '"KAFKA_TSL"', 'connectors has no setting KAFKA_TSL'],
    [
      'ConfigMap',
      'query',
      /"KAFKA_SASL_MECHANISM":"scram-sha-512"/g,
      '"KAFKA_SASL_MECHANISM":"scram"',
      'KAFKA_SASL_MECHANISM must be one of',
    ],
    ['ConfigMap', 'ai-processing', /"MODEL_BASE_URL":"[^"]*",?/g, '', 'MODEL_BASE_URL is not set'],
    ['ExternalSecret', 'query', /"OPERATOR_KEY"/g, '"OPERATER_KEY"', 'the ExternalSecret query has no OPERATOR_KEY'],
    ['Deployment', 'ingestion', /"\/run\/secrets\/kafka"/g, '"/run/secrets/log"', 'where no Secret is mounted'],
    ['Deployment', 'connectors', /"automountServiceAccountToken":false,/g, '', 'mounts a token of the API'],
    ['Deployment', 'connectors', /"limits":\{[^}]*\},/g, '', 'has no limit of memory'],
    ['Deployment', 'query', /millrace:[\d.]+/g, 'millrace:latest', 'the image of millrace names no version'],
    ['Deployment', 'collector', /@sha256:\w+/g, '', 'is not that of docker-compose.yml, with its digest'],
    ['Job', 'migrate', /"migrate-[\d-]+"/g, '"migrate"', 'there is no Job migrate-'],
    ['ScaledObject', 'connectors', /"namespace":"millrace"/g, '"namespace":"other"', 'is not in the namespace millrace'],
    ['PodDisruptionBudget', 'query', /"query"/g, '"other"', 'Deployment query: a drain may end all of its pods'],
  ])('a mistake in %s %s is found: %s', (kind, name, from, to, found) => {
    const manifests = rendered.get('production')!.map((manifest) => {
      if (manifest.kind !== kind || !manifest.metadata.name.startsWith(name)) return manifest;
      const written = JSON.stringify(manifest);
      expect(written).toMatch(from);
      return JSON.parse(written.replace(from, to)) as Manifest;
    });
    const ofAll = [settingProblems, scalingProblems, podProblems, namespaceProblems].flatMap((check) => check(manifests));
    const problems = [...ofAll, ...typeProblems(manifests.filter((one) => one.kind === kind))];
    expect(problems.join('\n')).toContain(found);
  });
});
