import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces a small file as a whole: after a crash it has either the old or the new text. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`;
  const file = await open(draft, 'w');
  await file.writeFile(text);
  await file.sync();
  await file.close();
  await rename(draft, path);
  const directory = await open(dirname(path), 'r');
  await directory.sync();
  await directory.close();
}
