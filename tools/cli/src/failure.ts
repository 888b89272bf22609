/** What the command ends with. */
export const exitCodes = { ok: 0, refused: 1, unusable: 2 } as const;

/** A failure that the caller is told in one line or a few; everything else is a defect and keeps its stack. */
export class Failure extends Error {
  constructor(
    message: string,
    /** `refused`: what was asked for is not acceptable. `unusable`: the command could not ask: its usage, its credentials or the connection. */
    readonly kind: 'refused' | 'unusable',
  ) {
    super(message);
  }
}
