import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { MountedImage } from '../../tools/image/buildah.js';
import { Container, composeServices } from '../../tools/image/container.js';
import { ServiceProcess } from './service-process.js';

const running = new Set<Container>();
process.on('exit', () => {
  for (const container of running) container.dispose();
});

/** A service in a container of the image, as docker-compose.yml starts it. */
export class ContainerProcess extends ServiceProcess {
  private container: Container | undefined;

  constructor(
    private readonly image: MountedImage,
    service: string,
    port: number,
    environment: Record<string, string>,
  ) {
    super(service, port, { HOST: '127.0.0.1', ...environment });
  }

  override async stop(): Promise<number | null> {
    const status = await super.stop();
    this.dispose();
    return status;
  }

  override async kill(): Promise<void> {
    this.container?.kill(); // the program that has started it ends with it
    await super.kill();
    this.dispose();
  }

  protected override spawn(environment: Readonly<Record<string, string>>): ChildProcessByStdio<null, Readable, Readable> {
    this.container = new Container(this.image, composeServices()[this.service]!, { environment });
    running.add(this.container);
    return this.container.start();
  }

  private dispose(): void {
    if (this.container === undefined) return;
    running.delete(this.container);
    this.container.dispose();
    this.container = undefined;
  }
}
