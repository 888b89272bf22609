// Writes the registries: one module per kind of part (providers, steps, …) that imports every part its folder holds. Adding a part is adding
// its folder or file; nobody edits a list, and the compiler still sees every part's type.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { registryText } from './registry.mjs';

/** @type {import('./registry.mjs').Registry[]} */
const registries = [
  {
    parts: 'libs/contracts/src/documents/*.document.ts',
    out: 'libs/contracts/src/documents/documents.generated.ts',
    exported: 'documentTypes',
    member: (kind) => `${kind}Document`,
  },
  {
    parts: 'libs/contracts/src/documents/steps/*.step.ts',
    out: 'libs/contracts/src/documents/steps.generated.ts',
    exported: 'stepSpecs',
    member: (kind) => `${kind}Step`,
  },
  {
    parts: 'libs/flows/src/steps/*.step.ts',
    out: 'libs/flows/src/steps.generated.ts',
    exported: 'steps',
    member: (kind) => `${kind}Step`,
  },
  {
    parts: 'libs/contracts/src/documents/destinations/*.destination.ts',
    out: 'libs/contracts/src/documents/destinations.generated.ts',
    exported: 'destinationKinds',
    member: (kind) => `${kind}Destination`,
  },
  {
    parts: 'libs/destinations/src/*/{name}.deliverer.ts',
    out: 'libs/destinations/src/deliverers.generated.ts',
    exported: 'delivererClasses',
    member: (kind) => `${kind[0].toUpperCase()}${kind.slice(1)}Deliverer`,
    suite: 'delivererConformance',
  },
  {
    parts: 'libs/connectors/src/*/{name}.operations.ts',
    out: 'libs/connectors/src/operations.generated.ts',
    exported: 'codedOperations',
    member: (name) => `${name}Operations`,
  },
  {
    parts: 'libs/connectors/src/*/{name}.driver.ts',
    out: 'libs/connectors/src/drivers.generated.ts',
    exported: 'driverClasses',
    member: (name) => `${name[0].toUpperCase()}${name.slice(1)}Driver`,
    suite: 'driverConformance',
    isLazy: true,
  },
  {
    parts: 'libs/connectors/src/*/{name}.check.ts',
    out: 'libs/connectors/src/checks.generated.ts',
    exported: 'connectionChecks',
    member: (name) => `${name}Check`,
  },
  { parts: 'apps/query/src/*/*.part.ts', out: 'apps/query/src/parts.generated.ts', exported: 'parts', member: (name) => `${name}Part` },
  {
    parts: 'libs/contracts/src/documents/schemes/*.scheme.ts',
    out: 'libs/contracts/src/documents/schemes.generated.ts',
    exported: 'schemeKinds',
    member: (kind) => `${kind}Scheme`,
  },
  {
    parts: 'libs/contracts/src/documents/auths/*.auth.ts',
    out: 'libs/contracts/src/documents/auths.generated.ts',
    exported: 'authKinds',
    member: (kind) => `${kind}Auth`,
  },
  {
    parts: 'libs/connections/src/auths/*.auth.ts',
    out: 'libs/connections/src/auths.generated.ts',
    exported: 'fixedCredentials',
    member: (kind) => `${kind}Auth`,
  },
  {
    parts: 'libs/signatures/src/providers/*/{name}.ts',
    out: 'libs/contracts/src/documents/presets.generated.ts',
    exported: 'presets',
    namesOnly: true,
  },
  {
    parts: 'libs/signatures/src/providers/*/{name}.ts',
    out: 'libs/signatures/src/providers.generated.ts',
    exported: 'providers',
  },
  {
    parts: 'libs/signatures/src/providers/*/{name}.proof.ts',
    out: 'libs/signatures/src/proofs.generated.ts',
    exported: 'proofs',
    member: (name) => `${name}Proof`,
  },
  {
    parts: 'libs/signatures/src/schemes/*.ts',
    out: 'libs/signatures/src/schemes.generated.ts',
    exported: 'schemeVerifiers',
    member: (kind) => `${kind}Verifier`,
  },
];

for (const registry of registries) {
  mkdirSync(dirname(registry.out), { recursive: true });
  writeFileSync(registry.out, registryText(registry));
}
if (registries.length > 0) execFileSync('npx', ['oxfmt', ...registries.map(({ out }) => out)], { stdio: ['ignore', 'ignore', 'inherit'] });
