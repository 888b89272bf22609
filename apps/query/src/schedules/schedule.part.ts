import { handle, part } from '../operations/part.js';
import { fireSchedule, listSchedules } from './schedule.operations.js';
import { ScheduleService } from './schedule.service.js';
import { ScheduleTable } from './schedule.table.js';

export const schedulePart = part({
  providers: [ScheduleTable, ScheduleService],
  operations: [
    handle(listSchedules, ({ principal, get }) => get(ScheduleTable).list(principal.tenant)),
    handle(fireSchedule, ({ principal, get }, input) => get(ScheduleService).fire(principal, input)),
  ],
});
