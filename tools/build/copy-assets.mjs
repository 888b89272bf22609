// Makes `dist` a mirror of the sources, so that it runs alone: copies what the compiler leaves out (SDL, SQL, sample documents, lexicons), and
// removes compiled files and assets whose source was moved or removed, because some are found by their names when they run.
import { cpSync, existsSync, globSync, rmSync } from 'node:fs';

const assets = globSync('{apps,libs,tools,test}/**/*.{graphql,sql,json,yaml,txt,sh}', {
  exclude: (path) => /node_modules|dist|fixture|\.kafka/.test(String(path)),
});
for (const asset of assets) cpSync(asset, `dist/${asset}`);

const compiled = globSync('dist/{apps,libs,tools,test}/**/*.{js,js.map}');
const copied = globSync('dist/{apps,libs,tools,test}/**/*.{graphql,sql,json,yaml,txt,sh}');
const sourceOf = (output) => output.slice('dist/'.length).replace(/\.js(\.map)?$/, '.ts');
for (const output of [...compiled, ...copied]) if (!existsSync(sourceOf(output))) rmSync(output);
