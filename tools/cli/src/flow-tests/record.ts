import { readFileSync, writeFileSync } from 'node:fs';
import { Document, isSeq, parseDocument } from 'yaml';
import { CliFailure } from '../failure.js';
import type { Expectation, FlowCase, FlowTest } from './flow-test.js';
import type { Tested } from './flow.tester.js';

/**
 * Adds a case to a file of tests, with what was seen as its answers and expectations. The file is made if it does not exist; comments in it stay.
 * @param head the flow of the tests, for a new file
 * @throws CliFailure if the file is no file of tests
 */
export function recordCase(path: string, head: Pick<FlowTest, 'flow' | 'name'>, test: FlowCase, tested: Tested): void {
  const file = fileAt(path) ?? new Document({ ...head, cases: [] });
  const cases = file.get('cases');
  if (!isSeq(cases)) throw new CliFailure(`${path} is no file of tests: it has no list \`cases\``, 'unusable');
  const seen: FlowCase = { ...test, answers: { ...tested.answers }, expect: expectationOf(tested) };
  cases.flow = false;
  cases.add(file.createNode(JSON.parse(JSON.stringify(seen))));
  writeFileSync(path, String(file));
}

/** The decision and where it goes, which a person would check. The payloads of deliveries have times and ids in them. */
function expectationOf({ decided, deliveries: all, failure, notRun }: Tested): Expectation {
  if (notRun !== undefined) return { runs: false };
  const deliveries = all.map(({ step, destination }) => ({ step, destination }));
  if (decided !== undefined) return { ...decided, deliveries };
  return { fails: failure!.code, ...(deliveries.length === 0 ? {} : { deliveries }) };
}

function fileAt(path: string): Document | undefined {
  try {
    return parseDocument(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}
