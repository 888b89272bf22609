import { expect, test } from 'vitest';
import { commitMetadata, readCommitMetadata } from './commit-metadata.js';
import { encodeFinished, maxMetadataBytes } from './finished-offsets.js';

const log = { logId: 'bG9n-_', clusterId: '5L6g3nShT-eMCtK--X86sw' };
const unknown = { logId: undefined, clusterId: undefined, finished: [] };
const written = commitMetadata(log, 5, encodeFinished(5, [7, 8]));

test('a commit names its log and its cluster, and the finished offsets above it if there are any', () => {
  expect(readCommitMetadata(5, written)).toEqual({ ...log, finished: [7, 8] });
  expect(readCommitMetadata(5, commitMetadata(log, 5, ''))).toEqual({ ...log, finished: [] });
});

test('where a tool moved the offset and kept the text, nothing counts as finished', () => {
  for (const offset of [0, 4, 6, 905]) expect(readCommitMetadata(offset, written)).toEqual({ ...log, finished: [] });
});

test('commits of the release before name no cluster and no offset, and are understood', () => {
  const before = `log=${log.logId} ${encodeFinished(5, [7])}`;
  expect(readCommitMetadata(5, before)).toEqual({ logId: log.logId, clusterId: undefined, finished: [7] });
});

test('where the log is not named, nothing counts as finished: texts of still earlier versions, and of others', () => {
  for (const text of [encodeFinished(5, [7]), null, '', 'garbage', 'log=', 'v9|x']) expect(readCommitMetadata(5, text)).toEqual(unknown);
  expect(commitMetadata({ logId: undefined, clusterId: 'x' }, 5, encodeFinished(5, [7]))).toBe('');
});

test('with the id of a topic, that of a cluster and a large offset, the longest text fits what Kafka allows', () => {
  const ids = { logId: 'x'.repeat(22), clusterId: 'y'.repeat(36) };
  expect(commitMetadata(ids, Number.MAX_SAFE_INTEGER, 'z'.repeat(maxMetadataBytes)).length).toBeLessThanOrEqual(4_096);
});

test('the release before reads the log from it, and takes nothing for finished', () => {
  const [, logId, rest] = /^(?:log=([\w-]+)(?: |$))?(.*)$/s.exec(written)!; // its reader
  expect(logId).toBe(log.logId);
  expect(/^v1\|([rd])\|([\w-]+)$/.test(rest!)).toBe(false);
});
