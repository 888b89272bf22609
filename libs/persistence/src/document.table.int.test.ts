import { createCipheriv, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox, SecretUnbound, SecretUnreadable } from '#libs/auth';
import { document as documentSchema, mapSecrets } from '#libs/contracts';
import type { DestinationDocument, Document, Secret, SourceDocument } from '#libs/contracts';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Database, DocumentSecrets, DocumentTable, TenantDatabase, resealDocuments, statement } from './index.js';
import type { Session, Stored } from './index.js';

const key = randomBytes(32);
const table = new DocumentTable(new SecretBox(key));
let fresh: FreshDatabase;
let database: TenantDatabase;
let tenant: string;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'documents' });
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});
beforeEach(() => {
  tenant = uniqueName('tenant');
});

const place = () => ({ tenant, kind: 'Source', name: 'shop', field: 'spec.secrets' });
const inTenant = <T>(work: (session: Session) => Promise<T>): Promise<T> => database.asTenant(tenant, work);
const save = (document: Document, actor = 'key:a') => inTenant((session) => table.save(session, { document, actor }));
const current = (): Promise<Stored[]> => inTenant((session) => table.current(session, tenant));
const remove = () => inTenant((session) => table.remove(session, { tenant, kind: 'Source', name: 'shop', actor: 'key:a' }));

function source(...secrets: Secret[]): Document {
  return documentSchema.parse({
    apiVersion: 'millrace/v1',
    kind: 'Source',
    metadata: { tenant, name: 'shop' },
    spec: { scheme: 'stripe', secrets },
  });
}

function destination(url: string): Document {
  const spec = { kind: 'http', url, secret: { value: 'whsec_c2VjcmV0' } };
  return documentSchema.parse({ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant, name: 'crm' }, spec });
}

/** A secret as the first release sealed it. */
function sealedUnbound(plain: string): Secret {
  const [, keyId] = new SecretBox(key).seal(plain, place()).sealed.split('.');
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(`v1.${keyId}`));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { sealed: `v1.${keyId}.${Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64url')}`, fingerprint: 'old' };
}

/** Changes what is stored of a document, as an earlier release would have stored it. */
async function update(kind: string, change: (spec: object) => object): Promise<void> {
  const service = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'earlier release' });
  const found = (await current()).find((one) => one.kind === kind)!;
  await service.query(rewrite, [tenant, kind, JSON.stringify(change(found.document.spec))]);
  await service.close();
}
const rewrite = statement(
  'test.document.rewrite',
  `UPDATE document SET spec = $3, digest = 'of an earlier release' WHERE tenant_id = $1 AND kind = $2`,
);

async function storedSource(): Promise<Document> {
  const [stored] = await current();
  return stored!.document;
}

describe('saving', () => {
  test('makes a version only of what changed', async () => {
    expect(await save(destination('https://crm.example/a'))).toEqual({ version: 1, change: 'created' });
    expect(await save(destination('https://crm.example/a'))).toEqual({ version: 1, change: 'unchanged' });
    expect(await save(destination('https://crm.example/b'), 'key:b')).toEqual({ version: 2, change: 'changed' });
    expect(await current()).toMatchObject([
      { tenant, kind: 'Destination', name: 'crm', version: 2, createdBy: 'key:b', document: { spec: { url: 'https://crm.example/b' } } },
    ]);
  });

  test('does not take another order of fields for a change', async () => {
    const document = destination('https://crm.example/a');
    await save(document);
    const reversed = { ...document, spec: Object.fromEntries(Object.entries(document.spec).toReversed()) } as Document;
    expect(await save(reversed)).toEqual({ version: 1, change: 'unchanged' });
  });

  test('at the same moment loses no version', async () => {
    const saves = await Promise.all(Array.from({ length: 8 }, (_, at) => save(destination(`https://crm.example/${at}`))));
    expect(saves.map(({ version }) => version).toSorted((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('keeps every version as it was', async () => {
    await save(destination('https://crm.example/a'));
    await save(destination('https://crm.example/b'));
    const first = await inTenant((session) => table.version(session, { tenant, kind: 'Destination', name: 'crm' }, 1));
    expect(first?.document).toMatchObject({ spec: { url: 'https://crm.example/a' } });
  });
});

describe('a secret', () => {
  test('is stored sealed and comes out sealed', async () => {
    await save(source({ value: 'whsec_1' }));
    const text = JSON.stringify(await current());
    expect(text).toContain('fingerprint');
    expect(text).not.toContain('whsec_1');
  });

  test('that is the stored one is no change, written either way', async () => {
    await save(source({ value: 'whsec_1' }));
    expect(await save(source({ value: 'whsec_1' }))).toMatchObject({ change: 'unchanged' });
    expect(await save(await storedSource())).toMatchObject({ change: 'unchanged' });
  });

  test('that is another one is a change', async () => {
    await save(source({ value: 'whsec_1' }));
    expect(await save(source({ value: 'whsec_1' }, { value: 'whsec_2' }))).toEqual({ version: 2, change: 'changed' });
  });

  test('is sealed anew when its document is applied after a rotation of the key', async () => {
    await save(source({ value: 'whsec_1' }));
    const newKey = randomBytes(32);
    const rotated = new DocumentTable(new SecretBox(newKey, key));
    const stored = await storedSource();
    expect(await inTenant((session) => rotated.save(session, { document: stored, actor: 'key:a' }))).toEqual({
      version: 2,
      change: 'changed',
    });
    const opened: string[] = [];
    mapSecrets(await storedSource(), (secret) => {
      if ('sealed' in secret) opened.push(new SecretBox(newKey).open(secret.sealed, place()));
      return secret;
    });
    expect(opened).toEqual(['whsec_1']);
  });

  test('that was sealed by another installation is refused', async () => {
    const foreign = new SecretBox(randomBytes(32)).seal('whsec_1', place());
    await expect(save(source(foreign))).rejects.toThrow(SecretUnreadable);
    expect(await current()).toEqual([]);
  });

  test.each([
    ['another tenant', { tenant: 'globex' }],
    ['another document', { name: 'other' }],
    ['another field', { field: 'spec.secret' }],
  ])('that was sealed for %s is refused', async (_, other) => {
    const copied = new SecretBox(key).seal('whsec_1', { ...place(), ...other });
    await expect(save(source(copied))).rejects.toThrow(SecretUnreadable);
    expect(await current()).toEqual([]);
  });

  test('may move up in its list, when another one is rotated in', async () => {
    await save(source({ value: 'whsec_1' }));
    const {
      secrets: [first],
    } = (await storedSource()).spec as { secrets: Secret[] };
    expect(await save(source({ value: 'whsec_2' }, first!))).toEqual({ version: 2, change: 'changed' });
  });
});

describe('a database of an earlier release', () => {
  const secrets = new DocumentSecrets(new SecretBox(key));
  const opened = async (): Promise<string> => JSON.stringify(secrets.opened((await storedSource()) as SourceDocument));

  beforeEach(async () => {
    await save(source({ value: 'whsec_1' }));
    await update('Source', (spec) => ({ ...spec, secrets: [sealedUnbound('whsec_1')] }));
  });

  test('has secrets that are bound to no place, which still open', async () => {
    expect(await opened()).toContain('"whsec_1"');
  });

  test('gives them out bound to their place, so that what comes out can be applied', async () => {
    const document = secrets.resealed(await storedSource());
    expect(JSON.stringify(document)).toContain('"v2.');
    expect(await save(document)).toMatchObject({ version: 2, change: 'changed' });
  });

  test('does not take them from a document that is applied', async () => {
    await expect(save(await storedSource())).rejects.toThrow(SecretUnbound);
  });

  test('is sealed again without new versions, and nothing of it is left under another key', async () => {
    const newKey = randomBytes(32);
    const box = new SecretBox(newKey, key);
    await resealDocuments(fresh.url, box);
    expect(JSON.stringify(await current())).toContain('"v2.');
    expect(await current()).toMatchObject([{ version: 1 }]);
    expect(JSON.stringify(new DocumentSecrets(new SecretBox(newKey)).opened((await storedSource()) as SourceDocument))).toContain(
      '"whsec_1"',
    );
    expect(await resealDocuments(fresh.url, box)).toMatchObject({ resealed: 0 });
    const again = { document: source({ value: 'whsec_1' }), actor: 'key:a' };
    expect(await inTenant((session) => new DocumentTable(box).save(session, again))).toEqual({ version: 1, change: 'unchanged' });
    await resealDocuments(fresh.url, new SecretBox(key, newKey));
  });

  test('may have credentials in the clear, which are secrets once they are read, and are not in the database after it is sealed again', async () => {
    await save(destination('https://crm.example/in'));
    await update('Destination', (spec) => ({
      ...spec,
      url: 'https://crm.example/in?api_key=clear',
      headers: { authorization: 'Bearer clear' },
    }));
    const crm = async () => (await current()).find(({ kind }) => kind === 'Destination')!.document;
    expect(await crm()).toMatchObject({
      spec: { url: { value: 'https://crm.example/in?api_key=clear' }, headers: { authorization: { value: 'Bearer clear' } } },
    });
    await resealDocuments(fresh.url, new SecretBox(key));
    expect(JSON.stringify(await crm())).not.toContain('clear');
    expect(secrets.opened((await crm()) as DestinationDocument)).toMatchObject({
      spec: { headers: { authorization: { value: 'Bearer clear' } } },
    });
  });

  test('tells which secrets cannot be opened, and leaves them', async () => {
    const before = await current();
    const { resealed, unreadable } = await resealDocuments(fresh.url, new SecretBox(randomBytes(32)));
    expect(resealed).toBe(0);
    expect(unreadable).toContain(`${tenant}/Source/shop/1 spec.secrets.0`);
    expect(await current()).toEqual(before);
  });
});

describe('removing', () => {
  test('takes a document out of sight, and its versions stay', async () => {
    await save(source({ value: 'whsec_1' }));
    expect(await remove()).toEqual({ version: 2, change: 'removed' });
    expect(await current()).toEqual([]);
    expect(await inTenant((session) => table.version(session, { tenant, kind: 'Source', name: 'shop' }, 1))).toBeDefined();
  });

  test('what is not there changes nothing', async () => {
    expect(await remove()).toEqual({ version: 0, change: 'unchanged' });
    await save(source({ value: 'whsec_1' }));
    await remove();
    expect(await remove()).toEqual({ version: 2, change: 'unchanged' });
  });

  test('and saving again goes on counting', async () => {
    await save(source({ value: 'whsec_1' }));
    await remove();
    expect(await save(source({ value: 'whsec_1' }))).toEqual({ version: 3, change: 'created' });
  });
});
