/** `npm run red-team`: attacks on models that obey them, by class. Ends with status 1 if one gets further than stated. */
import { findingsOf, redTeam, rowsOf } from './red-team.js';

const report = await redTeam();
const share = (part: number, all: number): string => `${((100 * part) / all).toFixed(0)} %`;
console.log('| attacks | number | runs | the model obeyed | parked | got through | may get through |');
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const { class: name, attacks, runs, obeyed, parked, passed, mayPass } of rowsOf(report.runs)) {
  const cells = [name, attacks, runs, share(obeyed, runs), share(parked, runs), share(passed, runs), share(mayPass, 1)];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log('\nThe models are simulated and obey by design. With a real model other shares obey; what a gate refuses is the same.');
const findings = findingsOf(report);
for (const finding of findings) console.log(finding);
if (findings.length > 0) process.exitCode = 1;
