import { readFileSync, readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { LineCounter, isMap, isScalar, isSeq, parseAllDocuments, visit } from 'yaml';
import type { Document, Node, Scalar } from 'yaml';
import { LosslessNumber, numberOf } from '#libs/json';
import { CliFailure } from './failure.js';

/** One document of a file, with the positions of its fields. */
export interface FileDocument {
  value: unknown;
  /** `file:line:column` of a field, or of its nearest parent that exists. */
  positionOf(path: readonly string[]): string;
}

/**
 * Reads the documents of files and directories, recursively. A file is YAML or JSON and has any number of documents, or lists of them.
 * @throws CliFailure that names file, line and column of everything that cannot be parsed
 */
export function readDocuments(paths: readonly string[]): FileDocument[] {
  const files = paths.flatMap(filesAt);
  if (files.length === 0) throw new CliFailure(`There is no .yaml, .yml or .json file in ${paths.join(', ')}`, 'unusable');
  const problems: string[] = [];
  const documents = files.flatMap((file) => readFile(file, problems));
  if (problems.length > 0) throw new CliFailure(problems.join('\n'), 'refused');
  if (documents.length === 0) throw new CliFailure(`There is no document in ${files.join(', ')}`, 'refused');
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

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliFailure(`${file} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}

function readFile(file: string, problems: string[]): FileDocument[] {
  const text = textOf(file);
  try {
    return documentsIn(file, text, problems);
  } catch (error) {
    // The parser throws for references that are unknown or repeat too much, and overflows the stack where nesting is too deep.
    problems.push(`${file}:1:1 cannot be read: ${(error as Error).message.split('\n', 1)[0]}`);
    return [];
  }
}

function documentsIn(file: string, text: string, problems: string[]): FileDocument[] {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const parsed = Array.isArray(documents) ? documents : [];
  const errors = parsed.flatMap((document) => document.errors.slice(0, 1)); // the others only follow from it
  if (errors.length > 0) {
    problems.push(...errors.map((error) => `${at(error.pos[0])} ${error.message}`));
    return [];
  }
  const inexact = parsed.flatMap(inexactNumbers);
  if (inexact.length > 0) {
    problems.push(
      ...inexact.map(
        ({ range, source }) => `${at(range[0])} ${source} has more digits, or a larger exponent, than a double keeps; quote it`,
      ),
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
