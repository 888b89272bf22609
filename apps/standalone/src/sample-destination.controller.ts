import { Controller, Get, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { CredentialInvalid, CredentialMissing, isBearer } from '#libs/auth';
import { parseStoredJson } from '#libs/json';
import type { RouteBodies } from '#libs/service';
import { verifyStandardWebhook } from '#libs/signatures';
import { wallTime, wallTimeMs } from '#libs/time';

/** The injection token of the {@link SampleDestinationAccess}. */
export const sampleDestinationAccess = Symbol('sample destination access');

interface SampleDestinationAccess {
  /** The signing secret that the sample destination shares with the sample document. */
  readonly secret: string;
  /** The bearer key of those who may see what it got; undefined: everybody may. */
  readonly key: string | undefined;
}

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

  constructor(@Inject(sampleDestinationAccess) private readonly access: SampleDestinationAccess) {}

  @Post()
  @HttpCode(204)
  @RouteConfig({ rawBody: true, limitTimes: 4 } satisfies RouteBodies) // a payload holds the event and the decision
  receive(@Req() request: FastifyRequest<{ Body: Buffer }>): void {
    verifyStandardWebhook(this.access.secret, request.headers, request.body, wallTimeMs());
    const payload: unknown = parseStoredJson(request.body.toString('utf8'));
    this.receipts.unshift({ receivedAt: wallTime().toISOString(), webhookId: String(request.headers['webhook-id']), payload });
    this.receipts.length = Math.min(this.receipts.length, kept);
  }

  /** The last deliveries, newest first. */
  @Get()
  list(@Req() { headers: { authorization } }: FastifyRequest): readonly Receipt[] {
    const { key } = this.access;
    if (key !== undefined && !isBearer(authorization, key))
      throw authorization === undefined ? new CredentialMissing() : new CredentialInvalid();
    return this.receipts;
  }
}
