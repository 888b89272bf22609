import { readFileSync } from 'node:fs';
import { SettingsInvalid, optionalFile, optionalText, optionalUrl, text } from '#libs/config';
import type { Settings } from '#libs/config';
import { FolderStore } from './folder.store.js';
import type { SecretStore } from './secret-store.js';
import { VaultStore } from './vault.store.js';
import type { VaultLogin } from './vault.store.js';

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** The source of the secrets that documents name with `from`. */
export const secretStoreSettings = {
  secretsFolder: optionalText('SECRETS_FOLDER', {
    help: 'A folder with the secrets that documents name with `from`: FOLDER/TENANT/PATH/KEY, as Kubernetes mounts Secrets. Empty: there is none.',
  }),
  vaultAddress: optionalUrl('VAULT_ADDR', ['http', 'https'], {
    help: 'The HashiCorp Vault or OpenBao with the secrets that documents name with `from`. Empty: there is none.',
  }),
  vaultCaFile: optionalFile('VAULT_CACERT', {
    help: 'PEM file of the authorities that the certificate of Vault comes from. Empty: those that Node trusts.',
  }),
  vaultNamespace: optionalText('VAULT_NAMESPACE', { help: 'The namespace of Vault Enterprise or HCP Vault. Empty: the root.' }),
  vaultMount: text('VAULT_MOUNT', { help: 'The mount of the KV engine, version 2.', fallback: 'secret' }),
  vaultPrefix: text('VAULT_PREFIX', {
    help: 'The path within the mount below which each tenant has a part: PREFIX/TENANT/PATH.',
    fallback: 'millrace',
  }),
  vaultTokenFile: optionalText('VAULT_TOKEN_FILE', {
    help: 'A file with a token, such as the sink of Vault’s agent, read for each request. Empty: Millrace logs in.',
  }),
  vaultRole: optionalText('VAULT_ROLE', { help: 'The role to log in with by a JWT, such as that of the pod’s service account.' }),
  vaultJwtFile: text('VAULT_JWT_FILE', { help: 'The file with the JWT, read for each login.', fallback: serviceAccountToken }),
  vaultRoleId: optionalText('VAULT_ROLE_ID', { help: 'The role id to log in with by AppRole.' }),
  vaultSecretIdFile: optionalText('VAULT_SECRET_ID_FILE', { help: 'The file with the secret id of the AppRole, read for each login.' }),
  vaultAuthMount: optionalText('VAULT_AUTH_MOUNT', {
    help: 'The mount of the auth method. Empty: `kubernetes` with VAULT_ROLE, `approle` with VAULT_ROLE_ID.',
  }),
};

export type SecretStoreSettings = Settings<typeof secretStoreSettings>;

/**
 * The secret store of the installation; undefined if it has none.
 * @throws SettingsInvalid where settings contradict each other
 */
export function secretStoreOf(service: string, settings: SecretStoreSettings): SecretStore | undefined {
  const { secretsFolder, vaultAddress } = settings;
  if (secretsFolder !== undefined && vaultAddress !== undefined)
    throw new SettingsInvalid(service, ['SECRETS_FOLDER and VAULT_ADDR are both set; keep one of them']);
  if (secretsFolder !== undefined) return new FolderStore(secretsFolder);
  if (vaultAddress === undefined) return undefined;
  return new VaultStore({
    address: vaultAddress,
    ca: settings.vaultCaFile === undefined ? undefined : readFileSync(settings.vaultCaFile, 'utf8'),
    namespace: settings.vaultNamespace,
    mount: settings.vaultMount,
    prefix: settings.vaultPrefix,
    login: loginOf(service, settings),
  });
}

function loginOf(service: string, settings: SecretStoreSettings): VaultLogin {
  const { vaultTokenFile: tokenFile, vaultRole: role, vaultRoleId: roleId, vaultSecretIdFile: secretIdFile, vaultAuthMount } = settings;
  const given = [
    ['VAULT_TOKEN_FILE', tokenFile],
    ['VAULT_ROLE', role],
    ['VAULT_ROLE_ID', roleId],
  ].flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (given.length !== 1)
    throw new SettingsInvalid(service, [
      `VAULT_ADDR needs one of VAULT_TOKEN_FILE, VAULT_ROLE, VAULT_ROLE_ID; ${given.join(' and ') || 'none'} is set`,
    ]);
  if (tokenFile !== undefined) return { kind: 'token', tokenFile };
  if (role !== undefined) return { kind: 'jwt', mount: vaultAuthMount ?? 'kubernetes', role, jwtFile: settings.vaultJwtFile };
  if (secretIdFile === undefined) throw new SettingsInvalid(service, ['VAULT_ROLE_ID needs VAULT_SECRET_ID_FILE']);
  return { kind: 'approle', mount: vaultAuthMount ?? 'approle', roleId: roleId!, secretIdFile };
}
