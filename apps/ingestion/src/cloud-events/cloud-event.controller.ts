import { All, Controller, HttpCode, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MethodNotAllowed } from '../intake/request.errors.js';
import { CloudEventService } from './cloud-event.service.js';

const noBody = Buffer.alloc(0);

/** `POST /v1/events`: CloudEvents 1.0, pushed with an API key. */
@Controller('v1/events')
export class CloudEventController {
  constructor(private readonly cloudEvents: CloudEventService) {}

  @All()
  @HttpCode(202)
  @RouteConfig({ rawBody: true })
  receive(
    @Req() request: FastifyRequest<{ Body: Buffer | undefined }>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ eventIds: string[] }> {
    if (request.method !== 'POST') {
      void reply.header('allow', 'POST');
      throw new MethodNotAllowed(request.method, 'POST');
    }
    return this.cloudEvents.receive({ headers: request.headers, rawBody: request.body ?? noBody, receivedAtMs: Date.now() });
  }
}
