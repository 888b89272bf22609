import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plantedBugs } from './compiled-code.js';

test.each(Object.entries(plantedBugs))('the bug %s can be planted in the code as it is', (_, { file, from }) => {
  expect(readFileSync(join('dist', file), 'utf8').split(from)).toHaveLength(2);
});
