import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase, testBrokers, uniqueName } from '#libs/testing';
import { mountImage } from '../../tools/image/buildah.js';
import type { MountedImage } from '../../tools/image/buildah.js';
import { Container, composeServices } from '../../tools/image/container.js';
import type { ComposeService, ContainerOptions } from '../../tools/image/container.js';
import { ContainerProcess } from '../forms/container-process.js';
import { fourProcesses } from '../forms/forms.js';
import { journeySettings, journeys } from './journeys.js';

/** `npm run image` names the image that it has built. */
const name = process.env['MILLRACE_IMAGE'];
if (name === undefined)
  process.stdout.write('The image is not tried here: npm run image builds it, which takes minutes, and goes through the journeys in it.\n');

describe.skipIf(name === undefined)('in containers of the image', () => {
  let image: MountedImage;
  beforeAll(async () => {
    image = await mountImage(name!);
  });
  afterAll(() => image?.unmount());

  const inside = (path: string): string => join(image.folder, path);
  const found = (pattern: string): readonly string[] => globSync(pattern, { cwd: image.folder });

  interface Outcome {
    readonly status: number | null;
    readonly printed: string;
    readonly said: string;
  }
  async function runOnce(service: ComposeService, options: ContainerOptions = {}): Promise<Outcome> {
    const container = new Container(image, service, options);
    try {
      const program = container.start();
      const ended = new Promise<number | null>((settle) => program.once('close', settle));
      const [status, printed, said] = await Promise.all([ended, text(program.stdout), text(program.stderr)]);
      return { status, printed, said };
    } finally {
      container.dispose();
    }
  }

  test('has exactly the packages that its list of components names', () => {
    interface Bill {
      readonly bomFormat: string;
      readonly components: readonly { readonly name: string; readonly version: string }[];
    }
    const { bomFormat, components } = JSON.parse(readFileSync(inside('millrace/sbom.cdx.json'), 'utf8')) as Bill;
    expect(bomFormat).toBe('CycloneDX');
    const installed = found('millrace/node_modules/**/node_modules/{*,@*/*}/package.json')
      .concat(found('millrace/node_modules/{*,@*/*}/package.json'))
      .map((file) => JSON.parse(readFileSync(inside(file), 'utf8')) as { name: string; version: string });
    const named = (packages: readonly { name: string; version: string }[]) => [
      ...new Set(packages.map((one) => `${one.name}@${one.version}`).toSorted()),
    ];
    expect(named(installed)).toEqual(named(components));
    expect(installed.length).toBeGreaterThan(200);
  });

  test('has nothing that builds, installs or tests, and nothing that was made for another platform', () => {
    expect(found('millrace/**/*.node')).toEqual([]);
    expect(found('millrace/**/*.ts')).toEqual([]);
    expect(found('millrace/node_modules/**/*.map')).toEqual([]);
    expect(found('millrace/dist/{test,apps/standalone,apps/local-broker,libs/testing,tools/!(cli|reseal),.*}')).toEqual([]);
    expect(found('{root,home/node}/{.npm,.cache}/**')).toEqual([]);
    expect(found('usr/local/bin/{npm,npx,corepack,yarn*}')).toEqual([]);
    expect(existsSync(inside('usr/local/lib/node_modules'))).toBe(false);
  });

  test('says what it is, and that it runs as a user with a number and without rights', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(image.configuration.User).toBe('1000:1000');
    expect(image.configuration.Labels).toMatchObject({
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/) as string,
    });
    expect(image.configuration.Env.join('\n')).not.toMatch(/PASSWORD|SECRET|KEY=/);
  });

  test('cannot write its root, has no capability, takes no new privileges, and may not call the kernel as it likes', async () => {
    const script = `
      const { readFileSync, writeFileSync } = require('node:fs');
      const tried = (path) => { try { writeFileSync(path, ''); return 'written'; } catch ({ code }) { return code; } };
      const status = Object.fromEntries(readFileSync('/proc/self/status', 'utf8').split('\\n').map((line) => line.split(':\\t')));
      console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), pid: process.pid, root: tried('/millrace/new'), temporary: tried('/tmp/new'),
        capabilities: status.CapBnd + status.CapEff, privileges: status.NoNewPrivs, calls: status.Seccomp }));`;
    for (const service of ['ingestion', 'ai-processing', 'connectors', 'query', 'local-model', 'migrate']) {
      const { printed } = await runOnce({ ...composeServices()[service]!, command: ['-e', script] });
      expect(JSON.parse(printed)).toEqual({
        uid: 1000,
        gid: 1000,
        pid: 1,
        root: 'EROFS',
        temporary: 'written',
        capabilities: '0'.repeat(32),
        privileges: '1',
        calls: '2',
      });
    }
  });

  test('migrates an empty database, seals again what it has, and takes commands', async () => {
    const database = await freshDatabase();
    const empty = uniqueName('empty').replaceAll('-', '_');
    const administrator = new Client({ connectionString: database.administratorUrl });
    await administrator.connect();
    await administrator.query(`CREATE DATABASE ${empty} OWNER millrace_owner`);
    const at = (address: string): string => Object.assign(new URL(address), { pathname: `/${empty}` }).href;
    const services = composeServices();
    const migrated = await runOnce(services['migrate']!, { environment: { DATABASE_URL: at(database.ownerUrl) } });
    expect(migrated).toMatchObject({ status: 0 });

    const sealed = await runOnce(
      { ...services['migrate']!, command: ['dist/tools/reseal/main.js'] },
      { environment: { DATABASE_URL: at(database.url), SECRETS_KEY: Buffer.alloc(32, 1).toString('base64') } },
    );
    expect(sealed).toMatchObject({ status: 0, printed: '0 versions of documents and the tokens of 0 connections were sealed again.\n' });
    await administrator.query(`DROP DATABASE ${empty} WITH (FORCE)`);
    await administrator.end();
    await database.close();

    const shell = { ...services['query']!, entrypoint: ['millrace'] };
    expect(await runOnce({ ...shell, command: ['--help'] })).toMatchObject({
      status: 0,
      printed: expect.stringContaining('dead-letters') as string,
    });
    expect(
      await runOnce(
        { ...shell, command: ['validate', '-f', '/samples/flow.yaml'] },
        { files: { '/samples': resolve('apps/standalone/src/samples') } },
      ),
    ).toMatchObject({ status: 0 });
  });

  test.each(['ingestion', 'ai-processing', 'connectors', 'query', 'migrate'])(
    '%s ends at once and says which settings it misses',
    async (service) => {
      const { status, printed, said } = await runOnce(composeServices()[service]!);
      expect(status).toBe(1);
      expect(`${printed}${said}`).toContain('DATABASE_URL');
    },
  );

  journeys(async (otlpUrl) => {
    const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
    return fourProcesses({
      otlpUrl,
      logPrefix: `${uniqueName('container')}.`,
      settings: journeySettings,
      brokers: testBrokers(),
      databaseUrl,
      queryDatabaseUrl,
      processOf: (service, port, settings) => new ContainerProcess(image, service, port, settings),
    });
  });
});
