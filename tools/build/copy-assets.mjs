// Copies what the compiler leaves out (SDL, SQL, sample documents, lexicons) beside the compiled code, so that `dist` runs alone.
import { cpSync, globSync, rmSync } from 'node:fs';

const assets = globSync('{apps,libs,tools,test}/**/*.{graphql,sql,json,yaml,txt,sh}', {
  exclude: (path) => /node_modules|dist|fixture|\.kafka/.test(String(path)),
});
// A function file that was moved or removed must go: `migrate` applies every one that it finds.
for (const stale of globSync('dist/{apps,libs}/**/*.functions.sql')) if (!assets.includes(stale.slice('dist/'.length))) rmSync(stale);
for (const asset of assets) cpSync(asset, `dist/${asset}`);
