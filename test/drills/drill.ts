/** A rehearsal that `npm run drill -- NAME` carries out. It prints its steps, and at the end what was lost, repeated and done twice in effect. */
export interface Drill {
  /** Its options, for the usage. */
  readonly usage: string;
  /**
   * Reads the options. The function that it returns resolves with whether the drill kept what docs/operations.md promises.
   * @throws Error that names the wrong argument
   */
  readonly prepare: (args: readonly string[]) => () => Promise<boolean>;
}
