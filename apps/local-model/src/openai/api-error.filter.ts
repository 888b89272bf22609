import { Catch } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { logger } from '#libs/tracing';
import { ApiError } from './api.errors.js';

const log = logger('local-model');

/** Sends errors in the format of OpenAI's API instead of Millrace's own. */
@Catch()
export class ApiErrorFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    void reply
      .status(statusOf(error))
      .headers(error instanceof ApiError ? error.headers : {})
      .send(this.bodyOf(error));
  }

  private bodyOf(error: unknown): ApiError['body'] {
    if (error instanceof ApiError) return error.body;
    log.error({ err: error }, 'a request failed by a defect');
    return new ApiError(500, 'server_error', 'The server had an error while processing the request.').body;
  }
}

function statusOf(error: unknown): number {
  return error instanceof ApiError ? error.status : 500;
}
