import { decodeFinished } from './finished-offsets.js';

/**
 * The text of a commit's metadata: the identity of the log that the offset counts in, and the finished offsets above it. Without the identity, the
 * offsets of a topic that was deleted would be taken for those of the topic that was created in its place.
 */
export function commitMetadata(logId: string | undefined, finished: string): string {
  return [...(logId === undefined ? [] : [`log=${logId}`]), ...(finished === '' ? [] : [finished])].join(' ');
}

/** The inverse of {@link commitMetadata}. `logId` is undefined in commits of earlier versions, and in texts that Millrace did not write. */
export function readCommitMetadata(offset: number, metadata: string | null): { logId: string | undefined; finished: number[] } {
  const [, logId, finished] = /^(?:log=([\w-]+)(?: |$))?(.*)$/s.exec(metadata ?? '') ?? [];
  return { logId, finished: decodeFinished(offset, finished ?? '') };
}
