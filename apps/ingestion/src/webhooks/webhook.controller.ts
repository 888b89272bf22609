import { All, Controller, HttpCode, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MethodNotAllowed } from '../intake/request.errors.js';
import { WebhookService } from './webhook.service.js';
import type { WebhookAnswer } from './webhook.service.js';

const noBody = Buffer.alloc(0);

/** `POST /webhooks/{tenant}.{source}`: a partner pushes, signed with a secret that it shares with us. */
@Controller('webhooks')
export class WebhookController {
  constructor(private readonly webhooks: WebhookService) {}

  @All(':sourceId')
  @HttpCode(200)
  @RouteConfig({ rawBody: true })
  receive(
    @Req() request: FastifyRequest<{ Params: { sourceId: string }; Body: Buffer | undefined }>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<WebhookAnswer> {
    if (request.method !== 'POST') {
      void reply.header('allow', 'POST');
      throw new MethodNotAllowed(request.method, 'POST');
    }
    return this.webhooks.receive({
      address: request.params.sourceId,
      headers: request.headers,
      headersDistinct: request.raw.headersDistinct,
      rawBody: request.body ?? noBody,
      receivedAtMs: Date.now(),
    });
  }
}
