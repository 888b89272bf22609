// Copies what the compiler leaves out (SDL, sample documents, lexicons) beside the compiled code, so that `dist` runs alone.
import { cpSync, globSync } from 'node:fs';

const assets = globSync('{apps,libs,tools,test}/**/*.{graphql,sql,json,yaml,txt,sh}', {
  exclude: (path) => /node_modules|dist|fixture|\.kafka/.test(String(path)),
});
for (const asset of assets) cpSync(asset, `dist/${asset}`);
