import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { KeyRing, requireScope } from '#libs/auth';
import type { Principal } from '#libs/auth';
import { IntakeLog } from './intake-log.js';
import type { DoorName } from './intake-log.js';

/** Says who calls a door with a key. */
@Injectable()
export class Callers {
  constructor(
    private readonly keys: KeyRing,
    private readonly log: IntakeLog,
  ) {}

  /** Authenticates a request before its body is read. @throws CredentialMissing, CredentialInvalid, ScopeMissing, ConfigurationUnavailable */
  async principalOf(door: DoorName, headers: IncomingHttpHeaders): Promise<Principal> {
    const tenantHeader = headers['millrace-tenant'];
    let tenant: string | undefined;
    try {
      const principal = await this.keys.authenticate(headers.authorization, tenantHeader === undefined ? undefined : String(tenantHeader));
      tenant = principal.tenant;
      requireScope(principal, 'ingest');
      return principal;
    } catch (error) {
      return this.log.record(door, headers['traceparent'], (entry) => {
        if (tenant !== undefined) entry.tenant = tenant;
        return Promise.reject(error);
      });
    }
  }
}
