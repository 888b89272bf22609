/** Exit codes of the command. */
export const exitCodes = { ok: 0, refused: 1, unusable: 2 } as const;

/** An expected failure. The caller sees its message; everything else is a defect and keeps its stack. */
export class CliFailure extends Error {
  constructor(
    message: string,
    /** `refused`: Millrace refused the request. `unusable`: no request was possible, because of the usage, the credentials or the connection. */
    readonly kind: 'refused' | 'unusable',
    /** The code that Millrace gave. */
    readonly code?: string | undefined,
  ) {
    super(message);
  }
}
