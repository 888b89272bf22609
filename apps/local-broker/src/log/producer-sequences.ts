import { LruMap } from '#libs/lru';
import type { BatchHeader } from './record-batch.js';

/** The most batches that a producer may have in flight, and so may repeat. */
const remembered = 5;
/** Producers remembered per partition; the one that has been silent longest is forgotten first. */
const maxProducers = 1_000;

interface KnownBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
}

interface KnownProducer {
  readonly epoch: number;
  readonly batches: readonly KnownBatch[];
}

export type SequenceCheck =
  | { kind: 'next' }
  /** The batch is in the log already. */
  | { kind: 'repeat'; baseOffset: number }
  | { kind: 'refused'; reason: 'outOfOrderSequenceNumber' | 'invalidProducerEpoch' };

/** The last batches of each producer in one partition. They make it safe to repeat a produce request. */
export class ProducerSequences {
  private readonly producers = new LruMap<number, KnownProducer>(maxProducers);

  check(batch: BatchHeader): SequenceCheck {
    if (batch.producerId < 0) return { kind: 'next' };
    const known = this.producers.get(batch.producerId);
    // Kafka takes any sequence of a producer it has forgotten (KIP-360), and so does this.
    if (known === undefined) return { kind: 'next' };
    if (batch.producerEpoch < known.epoch) return { kind: 'refused', reason: 'invalidProducerEpoch' };
    if (batch.producerEpoch > known.epoch) {
      return batch.firstSequence === 0 ? { kind: 'next' } : { kind: 'refused', reason: 'outOfOrderSequenceNumber' };
    }
    const repeated = known.batches.find(
      ({ firstSequence, lastSequence }) => firstSequence === batch.firstSequence && lastSequence === batch.lastSequence,
    );
    if (repeated !== undefined) return { kind: 'repeat', baseOffset: repeated.baseOffset };
    const last = known.batches.at(-1)!.lastSequence;
    if (batch.firstSequence === (last + 1) % 2 ** 31) return { kind: 'next' };
    return { kind: 'refused', reason: 'outOfOrderSequenceNumber' }; // also a repeat of a batch that is no longer remembered
  }

  /** @returns a function that takes the batch back; call them in the opposite order */
  appended({ producerId, producerEpoch, firstSequence, lastSequence, baseOffset }: BatchHeader): () => void {
    if (producerId < 0) return () => undefined;
    const before = this.producers.get(producerId);
    const batches = before?.epoch === producerEpoch ? before.batches.slice(1 - remembered) : [];
    this.know(producerId, { epoch: producerEpoch, batches: [...batches, { firstSequence, lastSequence, baseOffset }] });
    return () => this.know(producerId, before);
  }

  private know(producerId: number, known: KnownProducer | undefined): void {
    if (known === undefined) this.producers.delete(producerId);
    else this.producers.set(producerId, known);
  }
}
