/**
 * Loaded into a process before its own code (`SteppedClock` in `stepped-clock.ts`). Its wall clock is then off by the milliseconds in the file that the
 * URL names, a double that is read at each reading of the clock. The monotonic clock and timers are those of the machine.
 */
import { openSync, readSync } from 'node:fs';

const file = openSync(new URL(import.meta.url).searchParams.get('file'), 'r');
const bytes = new Float64Array(1);
const { now: machineNow } = Date;

Date.now = () => {
  readSync(file, bytes, 0, bytes.byteLength, 0);
  return Math.floor(machineNow() + bytes[0]);
};
globalThis.Date = new Proxy(Date, {
  construct: (date, values, made) => Reflect.construct(date, values.length === 0 ? [Date.now()] : values, made),
  apply: () => new Date().toString(),
});
