import { expect, test } from 'vitest';
import { SecretEntryMissing } from './secret-store.js';
import type { SecretStore } from './secret-store.js';

/** A store with a way to write to it. */
export interface WritableStore {
  readonly store: SecretStore;
  /** Replaces an entry. */
  readonly put: (tenant: string, path: string, secrets: Record<string, string>) => Promise<void> | void;
  readonly remove: (tenant: string, path: string) => Promise<void> | void;
}

/** The behaviour of every secret store. @param given makes an empty one, which the test closes */
export function secretStoreConformance(given: () => Promise<WritableStore>): void {
  test('gives the secrets of an entry, by key, byte for byte', async () => {
    const { store, put } = await given();
    await put('acme', 'partners/stripe', { signing: 'whsec_ä "1"', other: ' spaces ' });
    expect(await store.read('acme', 'partners/stripe')).toEqual(
      new Map([
        ['signing', { text: 'whsec_ä "1"' }],
        ['other', { text: ' spaces ' }],
      ]),
    );
  });

  test('gives what is there now', async () => {
    const { store, put } = await given();
    await put('acme', 'stripe', { value: 'before' });
    await store.read('acme', 'stripe');
    await put('acme', 'stripe', { value: 'after' });
    expect((await store.read('acme', 'stripe')).get('value')).toEqual({ text: 'after' });
  });

  test('has an entry for its tenant alone', async () => {
    const { store, put } = await given();
    await put('acme', 'stripe', { value: 'of acme' });
    await put('other', 'stripe', { value: 'of other' });
    expect((await store.read('other', 'stripe')).get('value')).toEqual({ text: 'of other' });
    await expect(store.read('third', 'stripe')).rejects.toThrow(SecretEntryMissing);
  });

  test('says of an entry that is not there, or was removed, that it is missing', async () => {
    const { store, put, remove } = await given();
    await expect(store.read('acme', 'stripe')).rejects.toThrow(SecretEntryMissing);
    await put('acme', 'stripe', { value: 'x' });
    await remove('acme', 'stripe');
    await expect(store.read('acme', 'stripe')).rejects.toThrow(SecretEntryMissing);
  });

  test('says of a secret that is empty or too long to be one, why', async () => {
    const { store, put } = await given();
    await put('acme', 'stripe', { long: 'x'.repeat(64 * 1_024 + 1), none: '', value: 'x'.repeat(64 * 1_024) });
    expect(await store.read('acme', 'stripe')).toEqual(
      new Map([
        ['long', { problem: 'has more than 64 KiB' }],
        ['none', { problem: 'is empty' }],
        ['value', { text: 'x'.repeat(64 * 1_024) }],
      ]),
    );
  });
}
