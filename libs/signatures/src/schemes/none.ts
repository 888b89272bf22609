import type { SignatureSchemeOf } from '#libs/contracts';
import { AddressList } from '#libs/ports';
import type { VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier } from '../scheme-verifier.js';
import { SignatureMismatch } from '../signature.errors.js';

export const noneVerifier: SchemeVerifier<SignatureSchemeOf<'none'>> = {
  create: ({ addresses }) => new AddressVerifier(new AddressList(addresses)),
  describe: ({ addresses }) => `none; accepted from ${addresses.map((address) => `\`${address}\``).join(', ')}`,
};

class AddressVerifier implements Verifier {
  constructor(private readonly addresses: AddressList) {}

  verify({ clientAddress = '' }: VerifiableRequest): void {
    if (!this.addresses.has(clientAddress)) throw new SignatureMismatch('The request does not come from an address of this source’s list');
  }
}
