import { statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';

/** A consent that a person was sent to give. */
export interface Consent {
  readonly tenant: string;
  /** A hash of its `state`. */
  readonly id: string;
  /** The name of the connection. */
  readonly name: string;
  /** Who asked for it. */
  readonly principal: string;
  /** The verifier of PKCE, sealed. */
  readonly verifier: string;
  readonly issuer: string | null;
  /** The digest of the client that it was begun with. */
  readonly client: string;
  readonly redirectUri: string;
  readonly allowOtherAccount: boolean;
}

const insert = statement(
  'connectionConsent.insert',
  `INSERT INTO connection_consent (tenant_id, id, name, principal, verifier, issuer, client, redirect_uri, allow_other_account, expires_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp() + make_interval(secs => $10::float8 / 1000))`,
);
const take = statement(
  'connectionConsent.take',
  `DELETE FROM connection_consent WHERE tenant_id = $1 AND id = $2
   RETURNING tenant_id AS tenant, id, name, principal, verifier, issuer, client, redirect_uri AS "redirectUri",
     allow_other_account AS "allowOtherAccount", expires_at < clock_timestamp() AS "isLate"`,
);
const forgetLate = statement(
  'connectionConsent.forgetLate',
  'DELETE FROM connection_consent WHERE tenant_id = $1 AND expires_at < clock_timestamp()',
);

/** The statements on `connection_consent`. */
export const consentTable = {
  async insert(session: Session, consent: Consent, validForMs: number): Promise<void> {
    const { tenant, id, name, principal, verifier, issuer, client, redirectUri, allowOtherAccount } = consent;
    await session.query(forgetLate, [tenant]);
    await session.query(insert, [tenant, id, name, principal, verifier, issuer, client, redirectUri, allowOtherAccount, validForMs]);
  },

  /** The consent, which nobody can take again. */
  async take(session: Session, tenant: string, id: string): Promise<(Consent & { readonly isLate: boolean }) | undefined> {
    const [row] = await session.query<Consent & { readonly isLate: boolean }>(take, [tenant, id]);
    return row;
  },
};
