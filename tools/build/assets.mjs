import { cpSync, existsSync, globSync, rmSync } from 'node:fs';

const folders = '{apps,libs,tools,test,templates}/**';
const kinds = '*.{graphql,sql,json,yaml,txt,sh,html,css}';
const exclude = (path) => /node_modules|dist|fixture|\.kafka/.test(String(path));

/** The files that the compiler leaves out and the compiled code reads: SDL, SQL, sample documents, templates, lexicons. */
export function assets() {
  return globSync(`${folders}/${kinds}`, { exclude });
}

/** The files that are compiled. */
export function sources() {
  return globSync(`${folders}/*.ts`, { exclude });
}

/**
 * Makes `dist` a mirror of the sources, so that it runs alone: copies the assets, and removes compiled files and assets whose source was moved or
 * removed, because some are found by their names when they run.
 */
export function mirrorAssets() {
  for (const asset of assets()) cpSync(asset, `dist/${asset}`);
  const sourceOf = (output) => output.slice('dist/'.length).replace(/\.js(\.map)?$/, '.ts');
  for (const output of globSync([`dist/${folders}/*.{js,js.map}`, `dist/${folders}/${kinds}`])) {
    if (!existsSync(sourceOf(output))) rmSync(output);
  }
}
