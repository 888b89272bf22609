import type { ConnectorSpec } from '#libs/contracts';
import { connectionChecks } from './checks.generated.js';
import type { CheckedConnection, ConnectionCheck, ConnectionMistake } from './connection-check.js';
import { withDefaults } from './settings.js';

const checks: Readonly<Record<string, ConnectionCheck>> = connectionChecks;

/** The mistakes between the settings and the credential of a connection, for a connector whose code knows some. The settings fit its schema. */
export function connectionMistakes(
  connector: string,
  spec: Pick<ConnectorSpec, 'settings'>,
  { given, credentials }: Omit<CheckedConnection, 'settings'>,
): ConnectionMistake[] {
  if (!Object.hasOwn(checks, connector)) return [];
  return checks[connector]!({ settings: withDefaults(spec.settings, given), given, credentials });
}
