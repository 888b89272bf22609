import { globSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { builtInConnector } from '#libs/contracts';
import type { ConnectorSpec } from '#libs/contracts';

let known: ReadonlyMap<string, ConnectorSpec> | undefined;

/** The connectors that Millrace brings along, by name: each folder here with a `manifest.yaml`. Read once. */
export function builtInConnectors(): ReadonlyMap<string, ConnectorSpec> {
  return (known ??= readBuiltIn());
}

function readBuiltIn(): ReadonlyMap<string, ConnectorSpec> {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const files = globSync('*/manifest.yaml', { cwd: folder }).toSorted();
  return new Map(files.map((file) => specIn(`${folder}${file}`)));
}

function specIn(file: string): [name: string, spec: ConnectorSpec] {
  const { data, error } = builtInConnector.safeParse(parse(readFileSync(file, 'utf8'), { merge: true }));
  if (error !== undefined) throw new Error(`${file} is no connector:\n${z.prettifyError(error)}`);
  const name = basename(dirname(file));
  if (data.metadata.name !== name) throw new Error(`${file} is named ${data.metadata.name}, but its folder ${name}`);
  return [name, data.spec];
}
