import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { exists } from '../kafka/maven-jars.js';
import { runToEnd, succeeds } from '../programs/program.js';
import { root } from '../programs/root.js';
import { buildah } from './buildah.js';

/** The name that docker-compose.yml gives the image. */
export const imageName = 'localhost/millrace:local';
const standIn = 'localhost/millrace-base:stand-in';
const debian = 'bookworm';
const cache = join(root, '.cache', 'image');
const run = promisify(execFile);

/** The authorities that this machine trusts. The build trusts them, too, for a registry of packages behind a private one; the image gets none of them. */
const certificates = '/etc/ssl/certs/ca-certificates.crt';

/**
 * Builds the image from the Dockerfile as it is. @param hasStandIn the base is not fetched, but made of Debian's packages and the Node of this checkout
 * @returns the sentence that says why it cannot be built here, or undefined if it was
 */
export async function buildImage(hasStandIn: boolean): Promise<string | undefined> {
  for (const program of ['buildah', 'runc', ...(hasStandIn ? ['mmdebstrap'] : [])]) {
    if (!(await succeeds(program, '--version'))) return `${program} is not installed (Debian: apt-get install ${program})`;
  }
  if (process.getuid?.() !== 0) return 'only root can build and run it so';
  if (hasStandIn && !(await succeeds('buildah', 'inspect', '--type', 'image', standIn))) await makeStandIn();
  const base = /^FROM (\S+)/m.exec(await readFile(join(root, 'Dockerfile'), 'utf8'))![1]!;
  const { stdout: revision } = await run('git', ['rev-parse', 'HEAD'], { cwd: root });
  const settings = await mkdtemp(join(tmpdir(), 'millrace-image-'));
  try {
    const npmrc = join(settings, 'npmrc');
    await writeFile(npmrc, `cafile=${certificates}\n`);
    const trust = (await exists(certificates))
      ? [`--volume=${certificates}:${certificates}:ro`, `--volume=${npmrc}:/usr/local/etc/npmrc:ro`]
      : [];
    const from = hasStandIn ? ['--pull-never', `--build-context=${base}=container-image://${standIn}`] : [];
    await runToEnd(
      'buildah',
      buildah(
        'bud',
        '--layers',
        '--isolation=chroot',
        ...trust,
        ...from,
        `--build-arg=REVISION=${revision.trim()}`,
        `--tag=${imageName}`,
        root,
      ),
    );
  } finally {
    await rm(settings, { recursive: true });
  }
  return undefined;
}

async function makeStandIn(): Promise<void> {
  const archive = join(cache, `debian-${debian}.tar`);
  await mkdir(cache, { recursive: true });
  if (!(await exists(archive))) {
    await runToEnd('mmdebstrap', ['--variant=minbase', '--include=ca-certificates', debian, `${archive}.draft.tar`]);
    await rename(`${archive}.draft.tar`, archive);
  }
  const context = await mkdtemp(join(cache, 'base-'));
  try {
    await copyFile(archive, join(context, 'debian.tar'));
    await copyFile(process.execPath, join(context, 'node'));
    await cp(await npmFolder(), join(context, 'npm'), { recursive: true });
    const file = join(root, 'tools', 'image', 'base.Dockerfile');
    await runToEnd('buildah', buildah('bud', '--isolation=chroot', `--file=${file}`, `--tag=${standIn}`, context));
  } finally {
    await rm(context, { recursive: true });
  }
}

/** The folder of the npm that runs this, or of the one in the path. */
async function npmFolder(): Promise<string> {
  const program = process.env['npm_execpath'] ?? (await run('sh', ['-c', 'command -v npm'])).stdout.trim();
  return dirname(dirname(await realpath(program)));
}
