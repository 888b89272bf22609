import { DomainError } from '#libs/contracts';
import type { DocumentKind } from '#libs/contracts';

/** The document changed since the caller read it, so writing it would undo somebody's change. 0 stands for no document. */
export class DocumentVersionMismatch extends DomainError {
  readonly code = 'document.versionMismatch';

  constructor(
    readonly reference: { readonly kind: DocumentKind; readonly name: string },
    expected: number,
    current: number,
  ) {
    const { kind, name } = reference;
    const found = current === 0 ? 'does not exist' : `is at version ${current}`;
    const wanted = expected === 0 ? 'that it does not exist' : `version ${expected}`;
    super(`${kind}/${name} ${found}, and the request expects ${wanted}; get the document again and make the change to that`);
  }
}
