import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { LineCounter, isMap, isScalar, isSeq, parseAllDocuments, visit } from 'yaml';
import type { Document, Node, Scalar, YAMLError } from 'yaml';
import { LosslessNumber, numberOf } from '#libs/json';
import { inlineDescriptions } from './described.files.js';
import { CliFailure } from './failure.js';
import { notUtf8, placeOfNonUtf8 } from './utf8.js';

/** One document of a file, with the positions of its fields. */
export interface FileDocument {
  /** The text of a file that it names as `documentFile` stands in it. */
  value: unknown;
  /** The paths of fields that name a file as `documentFile` which cannot be read. */
  unread?: readonly (readonly string[])[];
  /** `file:line:column` of a field, or of its nearest parent that exists. */
  positionOf(path: readonly string[]): string;
}

/** A file that cannot be read, or a place in it that cannot be parsed. */
export interface UnreadableFile {
  /** `file:line:column`, or the file alone. */
  at: string;
  message: string;
}

/**
 * Reads the documents of files and directories, recursively. A file is YAML or JSON and has any number of documents, or lists of them. What cannot be
 * read does not hide what can.
 * @throws CliFailure if there is no file or no document
 */
export function readFiles(paths: readonly string[]): { documents: FileDocument[]; unreadable: UnreadableFile[] } {
  const files = paths.flatMap(filesAt);
  if (files.length === 0) throw new CliFailure(`There is no .yaml, .yml or .json file in ${paths.join(', ')}`, 'unusable');
  const problems = new Map<string, UnreadableFile[]>();
  const found = files.flatMap((file) => {
    const unreadable: UnreadableFile[] = [];
    problems.set(file, unreadable);
    return readFile(file, unreadable).map((document) => ({ file, document }));
  });
  const descriptions = new Set<string>();
  for (const { file, document } of found) {
    for (const described of inlineDescriptions(document.value, file)) {
      if (described.file !== undefined) {
        descriptions.add(described.file);
        continue;
      }
      problems.get(file)!.push({ at: document.positionOf(described.path), message: described.problem! });
      document.unread = [...(document.unread ?? []), described.path];
    }
  }
  // The file of an OpenAPI document may stand among those that are read.
  const isOwn = (file: string): boolean => !descriptions.has(realpathSync(file));
  const documents = found.filter(({ file }) => isOwn(file)).map(({ document }) => document);
  const unreadable = [...problems].filter(([file]) => isOwn(file)).flatMap(([, each]) => each);
  if (documents.length + unreadable.length === 0) throw new CliFailure(`There is no document in ${files.join(', ')}`, 'refused');
  return { documents, unreadable };
}

/** Reads as {@link readFiles} does. @throws CliFailure also if anything cannot be read; it names file, line and column of each place */
export function readDocuments(paths: readonly string[]): FileDocument[] {
  const { documents, unreadable } = readFiles(paths);
  if (unreadable.length > 0) throw new CliFailure(unreadable.map(({ at, message }) => `${at} ${message}`).join('\n'), 'refused');
  return documents;
}

const extensions = ['.yaml', '.yml', '.json'];

function filesAt(path: string): string[] {
  if (!statOf(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => extensions.includes(extname(name)))
    .toSorted()
    .map((name) => join(path, name));
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch {
    throw new CliFailure(`There is no file or directory ${path}`, 'unusable');
  }
}

function readFile(file: string, problems: UnreadableFile[]): FileDocument[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    problems.push({ at: file, message: `cannot be read: ${(error as Error).message}` });
    return [];
  }
  const place = placeOfNonUtf8(bytes);
  if (place !== undefined) {
    problems.push({ at: `${file}:${place}`, message: notUtf8 });
    return [];
  }
  try {
    return documentsIn(file, bytes.toString('utf8'), problems);
  } catch (error) {
    // The parser throws for references that are unknown or repeat too much, and overflows the stack where nesting is too deep.
    problems.push({ at: `${file}:1:1`, message: `cannot be read: ${parserReason(error as Error)}` });
    return [];
  }
}

/** The parser's message, in words where it has none of its own. */
function parserReason({ name, message }: Error): string {
  const isTooDeep = name === 'RangeError' || /call stack/i.test(message);
  return isTooDeep ? 'is nested too deep to be read' : message.split('\n', 1)[0]!;
}

/** The parser's message for a mistake; a key that is repeated is named. */
function mistakeIn(text: string, { code, message, name, pos: [start] }: YAMLError): string {
  if (code !== 'DUPLICATE_KEY') return parserReason({ name, message });
  const [key] = /^(?:"[^"\n]*"|'[^'\n]*'|[^:\n]*)/.exec(text.slice(start, start + 200))!;
  return `the key ${key.trim()} stands in this mapping twice`;
}

function documentsIn(file: string, text: string, problems: UnreadableFile[]): FileDocument[] {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const parsed = Array.isArray(documents) ? documents : [];
  const errors = parsed.flatMap((document) => document.errors.slice(0, 1)); // the others only follow from it
  if (errors.length > 0) {
    problems.push(...errors.map((error) => ({ at: at(error.pos[0]), message: mistakeIn(text, error) })));
    return [];
  }
  const inexact = parsed.flatMap(inexactNumbers);
  if (inexact.length > 0) {
    problems.push(
      ...inexact.map(({ range, source }) => ({
        at: at(range[0]),
        message: `${source} has more digits, or a larger exponent, than a double keeps; where text is allowed quote it, where a number is needed write a smaller or shorter one`,
      })),
    );
    return [];
  }
  return parsed
    .flatMap((document) =>
      (isSeq(document.contents) ? (document.contents.items as Node[]) : [document.contents]).map((node) => ({ document, node })),
    )
    .filter(({ node }) => node !== null && !(isScalar(node) && node.value === null))
    .map(({ document, node }) => ({ value: node!.toJS(document), positionOf: (path) => at(offsetOf(node!, path)) }));
}

/** The numbers that would be sent as other ones. Hexadecimal and other forms that only YAML has are left to it. */
function inexactNumbers(document: Document.Parsed): Scalar.Parsed[] {
  const found: Scalar.Parsed[] = [];
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value !== 'number' || !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(node.source ?? '')) return;
      const number = numberOf(node.source!);
      if (number instanceof LosslessNumber && !number.isDouble()) found.push(node as Scalar.Parsed);
    },
  });
  return found;
}

/** The offset of the field at the path. A field of a mapping starts at its name. */
function offsetOf(root: Node, path: readonly string[]): number {
  let node: unknown = root;
  let offset = root.range?.[0] ?? 0;
  for (const segment of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === segment);
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      if (node === undefined) return offset;
      offset = (node as Node).range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}
