import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const timeoutMs = 60_000;

/** Arguments of buildah. The default driver of Debian's copies the whole tree in each step. */
export function buildah(...args: readonly string[]): string[] {
  return ['--storage-driver=overlay', ...args];
}

async function printedBy(...args: readonly string[]): Promise<string> {
  return (await run('buildah', buildah(...args), { timeout: timeoutMs, maxBuffer: 16_777_216 })).stdout.trim();
}

/** The configuration of an image, as far as its containers depend on it. */
export interface ImageConfiguration {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** An image whose files can be read, until {@link MountedImage.unmount}. */
export interface MountedImage {
  readonly configuration: ImageConfiguration;
  /** The folder of its root. */
  readonly folder: string;
  unmount(): Promise<void>;
}

/** @throws Error if there is no such image, or the caller is not root */
export async function mountImage(name: string): Promise<MountedImage> {
  const { OCIv1 } = JSON.parse(await printedBy('inspect', '--type=image', name)) as { OCIv1: { config: ImageConfiguration } };
  const container = await printedBy('from', '--pull-never', name);
  return {
    configuration: OCIv1.config,
    folder: await printedBy('mount', container),
    unmount: async () => void (await printedBy('rm', container)),
  };
}
