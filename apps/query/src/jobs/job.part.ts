import { part } from '../operations/part.js';
import { JobTable } from './job.table.js';

export const jobPart = part({ providers: [JobTable], operations: [] });
