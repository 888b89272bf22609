import { presetConformance } from './preset.conformance.js';
import type { PresetProof } from './proof.js';
import { proofs } from './proofs.generated.js';
import { providers } from './providers.generated.js';

/** A preset without `<name>.proof.ts` beside it does not compile. */
const all: Readonly<Record<keyof typeof providers, PresetProof>> = proofs;

for (const [name, preset] of Object.entries(providers)) {
  const proof = all[name as keyof typeof providers];
  if (proof === undefined) throw new Error(`The preset ${name} has no proof: write providers/${name}/${name}.proof.ts`);
  presetConformance(name, preset, proof);
}
