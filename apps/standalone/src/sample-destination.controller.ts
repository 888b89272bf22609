import { Controller, Get, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { verifyStandardWebhook } from '#libs/signatures';

/** The signing secret that the sample destination shares with the sample document. */
export const sampleDestinationSecret = Symbol('sample destination secret');

interface Receipt {
  receivedAt: string;
  webhookId: string;
  payload: unknown;
}

const kept = 100;

/** A sample receiver: checks the Standard Webhooks signature of each delivery and shows the last ones. */
@Controller('sample/crm')
export class SampleDestinationController {
  private readonly receipts: Receipt[] = [];

  constructor(@Inject(sampleDestinationSecret) private readonly secret: string) {}

  @Post()
  @HttpCode(204)
  @RouteConfig({ rawBody: true })
  receive(@Req() request: FastifyRequest<{ Body: Buffer }>): void {
    verifyStandardWebhook(this.secret, request.headers, request.body, Date.now());
    const payload: unknown = JSON.parse(request.body.toString('utf8'));
    this.receipts.unshift({ receivedAt: new Date().toISOString(), webhookId: String(request.headers['webhook-id']), payload });
    this.receipts.length = Math.min(this.receipts.length, kept);
  }

  /** The last deliveries, newest first. */
  @Get()
  list(): readonly Receipt[] {
    return this.receipts;
  }
}
