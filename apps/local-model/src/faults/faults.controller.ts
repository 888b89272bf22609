import { Body, Controller, Delete, Get, HttpCode, Inject, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { isLoopback } from '#libs/ports';
import { AddressNotFound, RequestInvalid } from '#libs/service';
import { localModelOptions } from '../config.js';
import type { LocalModelOptions } from '../config.js';
import { FaultPlan } from './fault-plan.js';
import { faultRule } from './fault.js';
import type { FaultRule } from './fault.js';

const script = z.array(faultRule).min(1).max(100);

/** Scripts failures, for callers on this machine only. `docs/local-model.md` describes the rules. */
@Controller('local-model/faults')
export class FaultsController {
  constructor(
    private readonly plan: FaultPlan,
    @Inject(localModelOptions) private readonly options: LocalModelOptions,
  ) {}

  @Post()
  @HttpCode(200)
  add(@Req() request: FastifyRequest, @Body() body: unknown): readonly FaultRule[] {
    this.requireLocal(request);
    const rules = script.safeParse(body);
    if (!rules.success) {
      const [issue] = rules.error.issues;
      throw new RequestInvalid(issue?.path.join('.') || 'body', issue?.message ?? 'is no script of faults');
    }
    this.plan.add(rules.data);
    return this.plan.remaining;
  }

  @Get()
  remaining(@Req() request: FastifyRequest): readonly FaultRule[] {
    this.requireLocal(request);
    return this.plan.remaining;
  }

  @Delete()
  @HttpCode(204)
  clear(@Req() request: FastifyRequest): void {
    this.requireLocal(request);
    this.plan.clear();
  }

  /** @throws AddressNotFound for all other callers, so that the address does not exist for them */
  private requireLocal({ socket }: FastifyRequest): void {
    if (!this.options.faults || !isLoopback(socket.remoteAddress ?? '')) throw new AddressNotFound();
  }
}
