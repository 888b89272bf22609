import { Catch, HttpException } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '#libs/contracts';
import { activeSpan, failSpan } from '#libs/tracing';
import { problemOf } from './problem.js';
import type { ProblemResponse } from './problem.js';
import type { Routes } from './routes.js';
import { AddressNotFound, MediaTypeUnsupported, MethodNotAllowed, RequestMalformed } from './request.errors.js';

/** Turns every failure of an HTTP door into problem+json. GraphQL and the log have edges of their own: theirs pass through. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly routes: Routes) {}

  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw error;
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const { problem, headers } = this.describe(error, request);
    void reply.status(problem.status).headers(headers).header('content-type', 'application/problem+json').send(JSON.stringify(problem));
  }

  private describe(error: unknown, request: FastifyRequest): ProblemResponse {
    const expected = error instanceof DomainError ? error : this.expectedForm(error, request);
    const span = activeSpan();
    if (expected === undefined && span !== undefined) failSpan(span, error);
    return problemOf(expected ?? error, { method: request.method, route: request.routeOptions?.url });
  }

  /** Nest's and Fastify's own refusals, in our words. */
  private expectedForm(error: unknown, request: FastifyRequest): DomainError | undefined {
    const status = error instanceof HttpException ? error.getStatus() : statusCodeOf(error);
    if (status === 400) return new RequestMalformed(error instanceof Error ? error.message : 'The request could not be read');
    if (status === 404) {
      const methods = this.routes.methodsAt(request.url);
      return methods.length === 0 ? new AddressNotFound() : new MethodNotAllowed(request.method, methods.join(', '));
    }
    if (status === 415) return new MediaTypeUnsupported(request.headers['content-type'], 'application/json');
    return undefined;
  }
}

function statusCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}
