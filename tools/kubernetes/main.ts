/**
 * `npm run kubernetes -- up`: a Kubernetes API on loopback with three nodes that run no containers, until Ctrl-C.
 * `npm run kubernetes -- build`: makes its programs with Go.
 */
import { once } from 'node:events';
import { build } from './build.js';
import { startControlPlane } from './control-plane.js';
import { findKubernetes } from './programs.js';

const usage = 'usage: npm run kubernetes -- up | build';
const [command] = process.argv.slice(2);

switch (command) {
  case 'up':
    await up();
    break;
  case 'build':
    await build();
    break;
  default:
    console.error(usage);
    process.exitCode = 1;
}

async function up(): Promise<void> {
  const programs = await findKubernetes();
  if (typeof programs === 'string') {
    console.error(programs);
    process.exitCode = 1;
    return;
  }
  const nodes = ['a', 'b', 'c'].map((zone) => ({ name: `node-${zone}`, zone }));
  const cluster = await startControlPlane(programs, nodes);
  console.log(`export KUBECONFIG=${cluster.kubeconfig}`);
  console.log(`alias kubectl='${programs.kube} kubectl'`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await cluster.stop();
}
