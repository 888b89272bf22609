import { decodeFinished } from './finished-offsets.js';

/** The log that an offset counts in. */
export interface LogOfCommit {
  /** The identity of the topic; undefined if it is not known. */
  readonly logId: string | undefined;
  /** The identity of the cluster; undefined in commits of earlier versions. */
  readonly clusterId: string | undefined;
}

/**
 * The text of a commit's metadata: the identity of the log that the offset counts in, the offset, and the finished offsets above it.
 *
 * Without the identity, the offsets of a topic that was deleted would be taken for those of the topic that was created in its place. The offset stands
 * in the text, too, because tools move a commit and keep its text: MirrorMaker 2 copies it beside the offset that it translated for another cluster,
 * where the finished offsets would name other records, which nobody would handle.
 */
export function commitMetadata({ logId, clusterId }: LogOfCommit, offset: number, finished: string): string {
  if (logId === undefined) return '';
  const log = clusterId === undefined ? `log=${logId}` : `log=${logId} cluster=${clusterId}`;
  return finished === '' ? log : `${log} at=${offset} ${finished}`;
}

/**
 * The inverse of {@link commitMetadata}. `logId` is undefined in texts that Millrace did not write. Nothing counts as finished where the text does not
 * name the log, or names another offset than the commit has.
 */
export function readCommitMetadata(offset: number, metadata: string | null): LogOfCommit & { finished: number[] } {
  const [, logId, clusterId, at, finished] = /^log=([\w-]+)(?: cluster=(\S+))?(?: at=(\d+))?(?: (v.*))?$/s.exec(metadata ?? '') ?? [];
  const isMoved = at !== undefined && Number(at) !== offset;
  return { logId, clusterId, finished: finished === undefined || isMoved ? [] : decodeFinished(offset, finished) };
}
