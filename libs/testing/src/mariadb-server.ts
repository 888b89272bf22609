import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, takesConnections } from '#libs/ports';
import { testCertificates } from './test-certificates.js';
import { waitFor } from './wait-for.js';

const program = '/usr/sbin/mariadbd';
/** `mariadb-install-db` calls it; it comes with the clients. */
const defaultsProgram = '/usr/bin/my_print_defaults';

/** A real MariaDB on loopback. `root` has no password, and may do everything. */
export interface MariaDbServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** True if Debian's MariaDB is installed. Prints why tests are left out, if it is not. */
export function hasMariaDb(): boolean {
  const missing = [program, defaultsProgram].find((file) => !existsSync(file));
  if (missing === undefined) return true;
  process.stdout.write(
    `MySQL and MariaDB were not tested: there is no ${missing} (Debian: apt-get install mariadb-server-core mariadb-client-core).\n`,
  );
  return false;
}

/** Starts a server of its own, in a directory that its end removes. Its certificate is for `localhost`, by the authority of {@link testCertificates}. */
export async function startMariaDb(): Promise<MariaDbServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mariadb-'));
  writeFileSync(join(directory, 'cert.pem'), testCertificates.server.cert);
  writeFileSync(join(directory, 'key.pem'), testCertificates.server.key);
  const data = join(directory, 'data');
  const common = ['--no-defaults', `--datadir=${data}`, `--user=${userInfo().username}`];
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=10M'];
  await promisify(execFile)('mariadb-install-db', [...common, ...install]);
  const port = await freePort();
  const server = spawn(
    program,
    [
      ...common,
      `--socket=${join(directory, 'socket')}`,
      `--pid-file=${join(directory, 'pid')}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=0',
      `--ssl-cert=${join(directory, 'cert.pem')}`,
      `--ssl-key=${join(directory, 'key.pem')}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = once(server, 'exit');
  await waitFor(() => takesConnections(port), { what: 'MariaDB' });
  return {
    port,
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
