import { z } from 'zod';
import { json } from '../json.js';
import { name } from '../names.js';
import { marked } from './marks.js';

/** An expression in JSONata, evaluated under limits of time and depth. */
export const expression = marked({ kind: 'expression' }, z.string().min(1).max(4096)).describe('A JSONata expression.');

/** A JSON Schema (draft 2020-12). It is compiled when the document is applied, so an invalid one never reaches a run. */
export const jsonSchema = marked({ kind: 'jsonSchema' }, z.record(z.string(), json)).describe('A JSON Schema, draft 2020-12.');

/** The name of a model at its provider. Apply compares it with the names that the provider lists. */
export const modelName = marked({ kind: 'model' }, z.string().min(1));

/**
 * The name of a document of this kind in the same tenant. It must exist when the document is applied, and stays as long as it is named.
 * @param others further kinds that it may be of; documents of these kinds share their names ({@link eventSourceKinds})
 */
export function refTo(kind: string, ...others: readonly string[]): typeof name {
  return marked({ kind: 'reference', to: others.length === 0 ? kind : [kind, ...others] }, name);
}

/**
 * The kinds of documents that events come from. An event says by the name alone where it came from, so two documents of these kinds in one tenant never
 * have the same name.
 */
export const eventSourceKinds = ['Source', 'Schedule', 'Pull'] as const;
