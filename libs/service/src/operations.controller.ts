import { Controller, Get, Header, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { registry } from '#libs/tracing';
import { Readiness } from './readiness.js';

/** The doors of those who run it. */
@Controller()
export class OperationsController {
  constructor(private readonly readiness: Readiness) {}

  /** The process lives. Never fails because something it depends on is down: a restart would not mend that. */
  @Get('healthz')
  health(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** 200 when every part can do its work, else 503; each part with its reason. */
  @Get('readyz')
  async ready(@Res() reply: FastifyReply): Promise<void> {
    const { ready, parts } = await this.readiness.report();
    await reply.status(ready ? 200 : 503).send({ status: ready ? 'ok' : 'unavailable', parts });
  }

  /** Prometheus text exposition. */
  @Get('metrics')
  @Header('content-type', registry.contentType)
  metrics(): Promise<string> {
    return registry.metrics();
  }
}
