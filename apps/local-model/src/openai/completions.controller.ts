import { Controller, Get, HttpCode, Param, Post, Req, Res, UseFilters } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Model, ModelsPage } from 'openai/resources/models';
import type { RouteBodies } from '#libs/service';
import { ApiErrorFilter } from './api-error.filter.js';
import { ModelUnknown } from './api.errors.js';
import { chatCompletions } from './chat-completions.js';
import { CompletionService } from './completion.service.js';
import { modelName } from './api-format.js';
import { responses } from './responses.js';

/** The path of the base URL that callers configure in an OpenAI client. */
export const localModelBasePath = '/local-model/v1';

/** `created` is the date of the last change of the rules. */
const model: Model = { id: modelName, object: 'model', created: Date.UTC(2026, 10, 21) / 1_000, owned_by: 'millrace' };

/** A question may hold an event as large as a door takes, whose quotes and lines have been escaped twice. */
const questions: RouteBodies = { rawBody: true, limitTimes: 4 };

/** The supported part of OpenAI's API. Bodies are raw, so that a malformed one gets an error in the format of this API and not of Millrace. */
@Controller(localModelBasePath)
@UseFilters(ApiErrorFilter)
export class CompletionsController {
  constructor(private readonly completions: CompletionService) {}

  @Post('chat/completions')
  @HttpCode(200)
  @RouteConfig(questions)
  chat(@Req() request: FastifyRequest<{ Body: Buffer }>, @Res() reply: FastifyReply): Promise<void> {
    return this.completions.handle(request, reply, chatCompletions);
  }

  @Post('responses')
  @HttpCode(200)
  @RouteConfig(questions)
  respond(@Req() request: FastifyRequest<{ Body: Buffer }>, @Res() reply: FastifyReply): Promise<void> {
    return this.completions.handle(request, reply, responses);
  }

  @Get('models')
  list(@Req() request: FastifyRequest): Pick<ModelsPage, 'object' | 'data'> {
    this.completions.requireKey(request.headers.authorization);
    return { object: 'list', data: [model] };
  }

  @Get('models/:name')
  one(@Req() request: FastifyRequest, @Param('name') name: string): Model {
    this.completions.requireKey(request.headers.authorization);
    if (name !== modelName) throw new ModelUnknown(name, modelName);
    return model;
  }
}
