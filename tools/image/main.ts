/**
 * `npm run image`: builds the image with buildah, prints its size, writes its list of components (SBOM) beside it, and tries it: every command in a
 * container as docker-compose.yml starts it, and all journeys through such containers. With `-- --stand-in-base` where no registry can be reached: the
 * base is then made of Debian's packages and the Node of this checkout. Wants root, buildah and runc (Debian: `tools/image/buildah.sh`).
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runToEnd } from '../programs/program.js';
import { root } from '../programs/root.js';
import { buildImage, imageName } from './build.js';
import { mountImage } from './buildah.js';

const args = process.argv.slice(2);
if (args.some((arg) => arg !== '--stand-in-base')) {
  console.error('usage: npm run image [-- --stand-in-base]');
  process.exit(2);
}
const missing = await buildImage(args.length > 0);
if (missing !== undefined) {
  console.error(`The image was not built: ${missing}.`);
  process.exit(1);
}
await describe();
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'journeys', 'test/journeys/in-containers.test.ts'];
await runToEnd(process.execPath, vitest, { MILLRACE_IMAGE: imageName });

async function describe(): Promise<void> {
  const image = await mountImage(imageName);
  const bill = join(root, '.cache', 'image', 'sbom.cdx.json');
  await mkdir(join(root, '.cache', 'image'), { recursive: true });
  await copyFile(join(image.folder, 'millrace', 'sbom.cdx.json'), bill);
  const mebibytes = (path: string): string => {
    const [size] = execFileSync('du', ['--summarize', '--block-size=1M', '--apparent-size', join(image.folder, path)], {
      encoding: 'utf8',
    }).split('\t');
    return `${size} MiB`;
  };
  console.log(
    `${imageName}: ${mebibytes('.')}, of which packages ${mebibytes('millrace/node_modules')} and Millrace ${mebibytes('millrace/dist')}`,
  );
  console.log(`Components: ${bill}`);
  await image.unmount();
}
