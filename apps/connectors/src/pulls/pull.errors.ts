import { DomainError } from '#libs/contracts';

/** The list has more pages than a pass may read. Its cursor stays, because items that were not read may be older than those that were. */
export class PullTooLong extends DomainError {
  readonly code = 'pull.tooLong';

  constructor(pull: string, pages: number) {
    super(
      `The list of ${pull} has more than ${pages} pages: raise maxPages, or have input ask for less, such as by since and cursor.start`,
    );
  }
}

/** The operation was answered, but there is no list in its output. */
export class PullItemsInvalid extends DomainError {
  readonly code = 'pull.itemsInvalid';

  constructor(pull: string, why: string, options?: ErrorOptions) {
    super(`The output that ${pull} got holds no list: ${why}. items of the Pull says where it stands`, options);
  }
}

/** The cursor of an item is of another kind than the values before it. Nothing of its page is taken: a cursor that moved to it might never move again. */
export class PullCursorInvalid extends DomainError {
  readonly code = 'pull.cursorInvalid';

  constructor(
    pull: string,
    { item, value, kind }: { readonly item: string; readonly value: string; readonly kind: string },
    known: { readonly value: string; readonly kind: string },
  ) {
    super(
      `The cursor of ${item} in the list of ${pull} is ${kind}, ${value}, but the one before is ${known.kind}, ${known.value}: have cursor.value yield one kind of value, and nothing for an item to leave out; give cursor.start the same kind; if the stored cursor is wrong, start the pull from the beginning`,
    );
  }
}

/** The input that an expression makes for the operation cannot be computed. */
export class PullInputFailed extends DomainError {
  readonly code = 'operation.inputInvalid';

  constructor(pull: string, why: string, options?: ErrorOptions) {
    super(`input of ${pull} fails: ${why}`, options);
  }
}
