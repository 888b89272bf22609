import type { AnsweredCalls } from '#libs/retries';

/** `calm`: nothing failed within the breaker's window. `troubled`: something did. `open`: the breaker is open, or its probes are awaited. */
export type BreakerState = 'calm' | 'troubled' | 'open';

/** A process notes successes at most so often while a destination is troubled. */
const noteSuccessEveryMs = 1_000;

interface Second {
  readonly startMs: number;
  calls: number;
  /** The number of `calls` that the shared health has counted. */
  noted: number;
}

/**
 * The successful attempts of this process at one destination within the breaker's window, and the rule which of them are noted in the shared health.
 * A success is noted if it can close the breaker, if it is the first after a failure, and otherwise once a second while the destination is troubled.
 * All others are counted here and noted together with the next failure, so the breaker sees the same share of failures as if each had been noted.
 * Times are those of the monotonic clock.
 */
export class DestinationWatch {
  private seconds: Second[] = [];
  private breaker: BreakerState = 'calm';
  private documentVersion: number | null = null;
  private lastNote: { readonly atMs: number; readonly success: boolean } | undefined;
  private notesUnderWay = 0;
  private lastNoteEndedAtMs = -Infinity;

  constructor(private readonly windowMs: number) {}

  /** Takes over what a look at the shared health found, unless a note of this process may have changed the health since the look began. */
  see(breaker: BreakerState, documentVersion: number | null, lookedAtMs: number): void {
    if (this.notesUnderWay > 0 || lookedAtMs < this.lastNoteEndedAtMs) return;
    if (documentVersion !== this.documentVersion) this.seconds = [];
    this.documentVersion = documentVersion;
    this.learn(breaker);
  }

  /** Takes over the state of the shared health. The breaker of a calm destination counts nothing. */
  learn(breaker: BreakerState): void {
    if (breaker === 'calm') for (const second of this.seconds) second.noted = 0;
    if (this.breaker === 'calm') this.lastNote = undefined;
    this.breaker = breaker;
  }

  /** Returns true if a success is to be noted now, and counts it here otherwise. */
  notesSuccess(nowMs: number): boolean {
    if (this.breaker === 'open') return true;
    if (this.breaker === 'troubled' && !(this.lastNote?.success === true && nowMs - this.lastNote.atMs < noteSuccessEveryMs)) return true;
    this.count(nowMs, 0);
    return false;
  }

  /** Returns the successes that were not noted yet, to be noted together with a success or a failure. {@link noteEnded} follows. */
  note(success: boolean, nowMs: number): AnsweredCalls[] {
    const unnoted = this.seconds.filter(({ calls, noted }) => calls > noted);
    const answered = unnoted.map(({ startMs, calls, noted }) => ({ agoMs: nowMs - startMs, calls: calls - noted }));
    for (const second of unnoted) second.noted = second.calls;
    if (success) this.count(nowMs, 1);
    this.lastNote = { atMs: nowMs, success };
    this.notesUnderWay += 1;
    return answered;
  }

  noteEnded(nowMs: number): void {
    this.notesUnderWay -= 1;
    this.lastNoteEndedAtMs = nowMs;
  }

  private count(nowMs: number, noted: number): void {
    const startMs = nowMs - (nowMs % 1_000);
    const last = this.seconds.at(-1);
    if (last?.startMs === startMs) {
      last.calls += 1;
      last.noted += noted;
      return;
    }
    const kept = this.seconds.filter((second) => second.startMs > startMs - this.windowMs);
    this.seconds = [...kept, { startMs, calls: 1, noted }];
  }
}
