/** The hold of one process on something that it claimed. It ends after its length unless it is renewed. */
export interface Lease {
  /** Aborts when the claim is lost to another process, or when the work has to end because the process stops. */
  readonly signal: AbortSignal;
  /** By this process's `performance.now()`, which goes on while the process is suspended. A renewal moves it. */
  readonly endsAtMs: number;
}
