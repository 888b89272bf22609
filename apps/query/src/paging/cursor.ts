import { hkdfSync, timingSafeEqual } from 'node:crypto';
import { parseStoredJson } from '#libs/json';
import { HmacKey } from '#libs/signatures';

/** The position of a row in its list: the value that the list is sorted by, then the row's id. */
export interface Position {
  key: string;
  id: string;
}

/** Identifies the list that a cursor belongs to. Another tenant, order or filter is another list. */
export interface ListIdentity {
  tenant: string;
  list: string;
  filter: Record<string, unknown>;
}

const signatureBytes = 16;

/**
 * Cursors are `position.signature`, both base64url. The signature covers tenant, list and filter, so an invented cursor, or one of another list,
 * is refused instead of returning wrong rows. All replicas share the key, so any of them can return the next page.
 */
export class CursorSigner {
  private readonly key: HmacKey;

  /** @param secret the deployment's secret; the signing key is derived from it */
  constructor(secret: Buffer) {
    this.key = new HmacKey('sha256', Buffer.from(hkdfSync('sha256', secret, '', 'millrace cursors', 32)));
  }

  encode(list: ListIdentity, { key, id }: Position): string {
    const text = Buffer.from(JSON.stringify([key, id])).toString('base64url');
    return `${text}.${this.sign(list, text).toString('base64url')}`;
  }

  /** The position in the cursor; null when it is not a cursor of this list. */
  decode(list: ListIdentity, cursor: string): Position | null {
    const [text, signature, ...rest] = cursor.split('.');
    if (text === undefined || signature === undefined || rest.length > 0) return null;
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== signatureBytes || !timingSafeEqual(given, this.sign(list, text))) return null;
    const [key, id] = parseStoredJson(Buffer.from(text, 'base64url').toString('utf8')) as [string, string];
    return { key, id };
  }

  private sign({ tenant, list, filter }: ListIdentity, text: string): Buffer {
    const entries = Object.entries(filter).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const message = this.key.messageOf(JSON.stringify([tenant, list, entries, text]));
    return this.key.sign(message).subarray(0, signatureBytes);
  }
}
