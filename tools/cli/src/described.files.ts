import { readFileSync, realpathSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { notUtf8, placeOfNonUtf8 } from './utf8.js';

/** The parts of a Connector that take the description of an API, which may stand in a file of its own. */
const parts = ['openapi', 'wsdl'] as const;

/** A description that was put in the place of its file, or cannot be. */
export interface DescribedFile {
  /** The path of the field below the document. */
  readonly path: readonly string[];
  /** The file, if it was read. */
  readonly file?: string;
  readonly problem?: string;
}

/**
 * Puts the text of each file that a Connector names as `documentFile`, relative to its own, in the place of `document`. The server never reads files.
 * @param value a document as it was read; it is changed
 */
export function inlineDescriptions(value: unknown, file: string): DescribedFile[] {
  const { kind, spec } = objectOf(value);
  if (kind !== 'Connector') return [];
  return parts.flatMap((part): DescribedFile[] => {
    const source = objectOf(objectOf(spec)[part]);
    const named = source['documentFile'];
    if (named === undefined) return [];
    const path = ['spec', part, 'documentFile'];
    if (source['document'] !== undefined) return [{ path, problem: 'stands beside document: give one of the two' }];
    const read = typeof named === 'string' && named !== '' ? textOf(named, file) : { problem: 'must be the path of a file' };
    if (read.text === undefined) return [{ path, problem: read.problem! }];
    delete source['documentFile'];
    source['document'] = read.text;
    return [{ path, file: read.file! }];
  });
}

interface Read {
  readonly text?: string;
  readonly file?: string;
  readonly problem?: string;
}

/** Only files below the folder of the document are read: documents may come from others. */
function textOf(named: string, file: string): Read {
  try {
    const folder = realpathSync(dirname(resolve(file)));
    const described = realpathSync(resolve(folder, named));
    if (relative(folder, described).startsWith('..')) return { problem: `must name a file below the folder of this one: ${named}` };
    const bytes = readFileSync(described);
    const place = placeOfNonUtf8(bytes);
    if (place !== undefined) return { problem: `names ${named}, which ${notUtf8} at ${place}` };
    return { text: bytes.toString('utf8'), file: described };
  } catch (error) {
    return { problem: `names a file that cannot be read: ${(error as Error).message}` };
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
