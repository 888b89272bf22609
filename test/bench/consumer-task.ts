/** The topic that a consumer under test reads, how many records at once, and how long it is measured. */
export interface ConsumerTask {
  brokers: readonly string[];
  nameOnLog: string;
  groupId: string;
  concurrency: number;
  modelLatencyMs: number;
  warmUpMs: number;
  measuredMs: number;
}

export interface ConsumerResult {
  perSecond: number;
  /** Records that began before an earlier record of their customer had ended. */
  orderViolations: number;
  /** Records that were handled again. */
  repeats: number;
  cpuMillisPerSecond: number;
}
