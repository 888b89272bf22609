import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ConsentRefused, consentRefusals } from '#libs/connections';
import { DomainError, failures } from '#libs/contracts';
import { failureHeaders } from '#libs/service';
import { counter, logger, startAtZero } from '#libs/tracing';
import { ConnectionService } from '../../connections/connection.service.js';
import { consentPage, consentPolicy } from './consent.page.js';

const answers = counter('millrace_connection_consents_total', 'Answers of consents that came back, by outcome.', {
  outcome:
    '`ok`, why it was not taken (`unknown`, `late`, `denied`, `issuer`, `malformed`, `changed`, `refused`, `unavailable`, `otherAccount`), or a code of failures.md',
});
startAtZero(answers, { outcome: ['ok', ...consentRefusals] });
const log = logger('consents');

/** The page to which a system sends a person back after a consent. Nothing of the answer stands on it, or in a log. */
@Controller()
export class ConsentController {
  constructor(private readonly service: ConnectionService) {}

  @Get('/connections/callback')
  async take(@Req() { query }: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const parameters = query as Record<string, unknown>;
    /** One that is given twice counts as none (RFC 6749 §3.1). */
    const one = (name: string): string | undefined => {
      const value = parameters[name];
      return typeof value === 'string' && value.length <= longestParameter ? value : undefined;
    };
    try {
      const given = await this.service.complete({ state: one('state'), code: one('code'), iss: one('iss'), error: one('error') });
      answers.inc({ outcome: 'ok' });
      const { tenant, connection, principal } = given;
      log.info({ tenant, connection, principal }, 'a consent was given');
      await this.answer(reply, 200, consentPage({ given }));
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const refusal = error instanceof ConsentRefused ? error : undefined;
      answers.inc({ outcome: refusal?.reason ?? error.code });
      log.warn({ ...refusal?.asked, reason: refusal?.reason, error: error.message }, 'the answer of a consent was not taken');
      const page = consentPage({ refusal: error.publicMessage, ...(refusal?.asked === undefined ? {} : { asked: refusal.asked }) });
      await this.answer(reply.headers(failureHeaders(error)), failures[error.code].httpStatus, page);
    }
  }

  private async answer(reply: FastifyReply, status: number, page: string): Promise<void> {
    await reply
      .status(status)
      .headers({
        'content-security-policy': consentPolicy,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer', // the address has the code
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      })
      .type('text/html; charset=utf-8')
      .send(page);
  }
}

const longestParameter = 4_096;
