import { expect, test } from 'vitest';
import { commitMetadata, readCommitMetadata } from './commit-metadata.js';
import { encodeFinished, maxMetadataBytes } from './finished-offsets.js';

test('a commit names its log and the finished offsets, or the log alone', () => {
  expect(readCommitMetadata(5, commitMetadata('bG9n-_', encodeFinished(5, [7, 8])))).toEqual({ logId: 'bG9n-_', finished: [7, 8] });
  expect(readCommitMetadata(5, commitMetadata('log', ''))).toEqual({ logId: 'log', finished: [] });
});

test('commits of earlier versions name no log, and texts of others say nothing', () => {
  expect(readCommitMetadata(5, encodeFinished(5, [7]))).toEqual({ logId: undefined, finished: [7] });
  for (const text of [null, '', 'garbage', 'log=', 'v9|x']) expect(readCommitMetadata(5, text)).toEqual({ logId: undefined, finished: [] });
});

test('with the id of a topic, the longest text fits what Kafka allows', () => {
  expect(commitMetadata('x'.repeat(22), 'y'.repeat(maxMetadataBytes)).length).toBeLessThanOrEqual(4_096);
});
