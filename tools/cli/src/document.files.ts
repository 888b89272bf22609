import { readFileSync, readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { LineCounter, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Node } from 'yaml';
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

function readFile(file: string, problems: string[]): FileDocument[] {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const documents = parseAllDocuments(readFileSync(file, 'utf8'), { lineCounter: lines, prettyErrors: false });
  const parsed = Array.isArray(documents) ? documents : [];
  const errors = parsed.flatMap((document) => document.errors.slice(0, 1)); // the others only follow from it
  if (errors.length > 0) {
    problems.push(...errors.map((error) => `${at(error.pos[0])} ${error.message}`));
    return [];
  }
  return parsed
    .flatMap((document) =>
      (isSeq(document.contents) ? (document.contents.items as Node[]) : [document.contents]).map((node) => ({ document, node })),
    )
    .filter(({ node }) => node !== null && !(isScalar(node) && node.value === null))
    .map(({ document, node }) => ({ value: node!.toJS(document), positionOf: (path) => at(offsetOf(node!, path)) }));
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
