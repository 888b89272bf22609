import { InputInvalid } from './user-errors.js';

/** @throws InputInvalid where the caller's key is empty, too long or has characters that cannot be seen */
export function checkIdempotencyKey(key: string): void {
  if (!/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw new InputInvalid([{ path: ['input', 'idempotencyKey'], message: 'must be 1 to 128 visible ASCII characters' }]);
  }
}
