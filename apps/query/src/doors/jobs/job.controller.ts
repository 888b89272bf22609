import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireScope } from '#libs/auth';
import { NotFound, eventOfJob } from '#libs/contracts';
import { latencyMs, wallTimeMs } from '#libs/time';
import { OperationRunner } from '../../operations/operation-runner.js';
import { JobTable } from '../../jobs/job.table.js';
import type { JobRow } from '../../jobs/job.table.js';

/** How long a job may be on its way from the log to Postgres. An id that nobody made looks like such a job for as long. */
const recordedWithinMs = 15 * 60_000;
/** When a caller is to look again, s. */
const lookAgainAfter = '1';

/** `GET /v1/jobs/{id}`: what became of a job. Whoever may give one may read it, too. */
@Controller()
export class JobController {
  constructor(
    private readonly runner: OperationRunner,
    private readonly jobs: JobTable,
  ) {}

  @Get('/v1/jobs/:id')
  async show(
    @Param('id') id: string,
    @Req() { headers }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const named = headers['millrace-tenant'];
    const credentials = { authorization: headers.authorization, tenant: typeof named === 'string' ? named : undefined };
    const { principal } = await this.runner.contextFor(credentials);
    if (!principal.scopes.includes('ingest')) requireScope(principal, 'read');
    const asked = eventOfJob(id);
    if (asked === null) throw new NotFound('job', id.slice(0, 100));
    const { eventId, requestedAtMs } = asked;
    const job = await this.jobs.ofEvent(principal.tenant, eventId);
    if (job === undefined && latencyMs(requestedAtMs, wallTimeMs()) > recordedWithinMs) throw new NotFound('job', id);
    void reply.header('cache-control', 'no-store');
    if (job?.finishedAt == null) void reply.header('retry-after', lookAgainAfter);
    return { jobId: id, eventId, ...viewOfJob(job) };
  }
}

function viewOfJob(job: JobRow | undefined): object {
  if (job === undefined) return { state: 'accepted' };
  const { flow, customer, state, decision, defaultReason: reason, errorCode, errorMessage, decideBy, finishedAt } = job;
  const about = { state: state ?? 'accepted', flow, customer, ...(decideBy === null ? {} : { decideBy }) };
  if (state === 'completed') return { ...about, decision, default: reason !== null, reason, finishedAt };
  return state === 'failed' ? { ...about, errorCode, errorMessage, finishedAt } : about;
}
