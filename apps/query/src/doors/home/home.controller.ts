import { Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireScope } from '#libs/auth';
import { DomainError, failures } from '#libs/contracts';
import { Doors, Readiness, failureHeaders } from '#libs/service';
import { DeadLetterTable } from '../../dead-letters/dead-letter.table.js';
import { EventTable, eventStateOf } from '../../events/event.table.js';
import { OperationRunner } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import type { OperationContext } from '../../operations/part.js';
import { homePage, homePolicy } from './home.page.js';
import type { TenantView } from './home.page.js';

const shown = { first: 20 };

/** The page at `/` for people: what this is, where the doors are and, for who has a key, what happened last. */
@Controller()
export class HomeController {
  constructor(
    private readonly doors: Doors,
    private readonly readiness: Readiness,
    private readonly runner: OperationRunner,
  ) {}

  @Get('/')
  async show(@Req() { headers }: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const tenant = headers['millrace-tenant'];
    const credentials = { authorization: headers.authorization, tenant: typeof tenant === 'string' ? tenant : undefined };
    await this.answer(reply, headers.authorization === undefined ? undefined : credentials);
  }

  /** The form of the page: a browser cannot send a key in a header by itself. */
  @Post('/')
  @HttpCode(200)
  @RouteConfig({ rawBody: true })
  async showTenant(@Req() { body }: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const form = new URLSearchParams(String(body));
    await this.answer(reply, { authorization: `Bearer ${form.get('key')?.trim() ?? ''}`, tenant: form.get('tenant')?.trim() || undefined });
  }

  private async answer(reply: FastifyReply, credentials: RequestCredentials | undefined): Promise<void> {
    const { status: readiness } = await this.readiness.report();
    const found = credentials === undefined ? undefined : await this.viewFor(credentials);
    const status = found instanceof DomainError ? failures[found.code].httpStatus : 200;
    const page = homePage({
      readiness,
      intake: this.doors.routes(),
      operations: this.doors.operationPaths(),
      ...(found instanceof DomainError ? { refusal: found.publicMessage } : found === undefined ? {} : { tenant: found }),
    });
    await reply
      .status(status)
      .headers({
        ...(found instanceof DomainError ? failureHeaders(found) : {}),
        'content-security-policy': homePolicy,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
      .type('text/html; charset=utf-8')
      .send(page);
  }

  private async viewFor(credentials: RequestCredentials): Promise<TenantView | DomainError> {
    try {
      const context = await this.runner.contextFor(credentials);
      requireScope(context.principal, 'read');
      return await tenantView(context);
    } catch (error) {
      if (error instanceof DomainError) return error;
      throw error;
    }
  }
}

async function tenantView({ principal: { tenant }, get, load }: OperationContext): Promise<TenantView> {
  const [events, letters] = await Promise.all([
    get(EventTable).page(tenant, {}, shown),
    get(DeadLetterTable).page(tenant, { resolved: false }, shown),
  ]);
  return {
    tenant,
    events: await Promise.all(
      events.nodes.map(async ({ id, type, source, receivedAt, customer }) => ({
        at: receivedAt,
        id,
        what: `${type} from ${source}`,
        customer: customer.key,
        state: await load(eventStateOf, id),
      })),
    ),
    openDeadLetters: letters.nodes.map(({ id, kind, code, message, customer, createdAt }) => ({
      at: createdAt,
      id,
      what: `${kind}: ${message}`,
      customer,
      state: code,
    })),
  };
}
