import { timingSafeEqual } from 'node:crypto';
import { name, scopes } from '#libs/contracts';
import { wallTimeMs } from '#libs/time';
import { hashOfSecret, parseApiKey } from './api-key.js';
import type { CheckableApiKey } from './api-key.js';
import { ApiKeyExpected, CredentialInvalid, CredentialMissing, TenantForbidden, TenantNotNamed } from './credential.errors.js';
import type { Principal } from './principal.js';

/** Finds a stored key by its id, in any tenant. */
export type FindApiKey = (id: string) => CheckableApiKey | undefined | Promise<CheckableApiKey | undefined>;

export interface KeyRingOptions {
  /** The platform operator's key: all scopes, in every tenant. Default: there is none. */
  operatorKey?: string;
  /** The current time in ms since 1970, for expiry. Default `Date.now`. */
  clock?: () => number;
}

/** Authenticates requests by their headers. */
export class KeyRing {
  private readonly operatorHash: Buffer | undefined;
  private readonly clock: () => number;

  constructor(
    private readonly find: FindApiKey,
    { operatorKey, clock = wallTimeMs }: KeyRingOptions = {},
  ) {
    this.operatorHash = operatorKey === undefined ? undefined : hashOfSecret(operatorKey);
    this.clock = clock;
  }

  /**
   * @param authorization the header, `Bearer mr_…`
   * @param tenantHeader the header `millrace-tenant`: required with the operator key; with any other, it may only name the key's own tenant
   * @throws CredentialMissing, CredentialInvalid, ApiKeyExpected, TenantNotNamed, TenantForbidden
   */
  async authenticate(authorization: string | undefined, tenantHeader?: string): Promise<Principal> {
    const token = bearerToken(authorization);
    if (this.operatorHash !== undefined && timingSafeEqual(hashOfSecret(token), this.operatorHash)) return operatorIn(tenantHeader);
    const stored = await this.verified(token);
    if (tenantHeader !== undefined && tenantHeader !== stored.tenant) throw new TenantForbidden();
    return { keyId: stored.id, tenant: stored.tenant, scopes: stored.scopes, actor: `key:${stored.id}` };
  }

  private async verified(token: string): Promise<CheckableApiKey> {
    const key = parseApiKey(token);
    if (key === null && this.operatorHash === undefined) throw new ApiKeyExpected();
    const stored = key === null ? undefined : await this.find(key.id);
    if (key === null || stored === undefined) throw new CredentialInvalid();
    const isGenuine = timingSafeEqual(hashOfSecret(key.secret), stored.secretHash);
    const isActive = stored.revokedAt === null && (stored.expiresAt === null || stored.expiresAt.getTime() > this.clock());
    if (!isGenuine || !isActive) throw new CredentialInvalid();
    return stored;
  }
}

/** True if the header `Authorization` carries this key. Takes the same time for every wrong one. */
export function isBearer(authorization: string | undefined, key: string): boolean {
  const [, token] = bearerForm.exec(authorization ?? '') ?? [];
  return token !== undefined && timingSafeEqual(hashOfSecret(token), hashOfSecret(key));
}

const bearerForm = /^bearer +(\S+) *$/i;

function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization.trim() === '') throw new CredentialMissing();
  const [, token] = bearerForm.exec(authorization) ?? [];
  if (token === undefined) throw new CredentialMissing();
  return token;
}

function operatorIn(tenantHeader: string | undefined): Principal {
  const tenant = name.safeParse(tenantHeader);
  if (!tenant.success) throw new TenantNotNamed();
  return { keyId: 'operator', tenant: tenant.data, scopes, actor: 'operator' };
}
