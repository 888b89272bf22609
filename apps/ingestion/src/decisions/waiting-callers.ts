import { Injectable } from '@nestjs/common';
import { gauge } from '#libs/tracing';
import type { RequestEnd } from './decision.settlement.js';
import { DecisionsBusy } from './decision.errors.js';

/** The most callers that wait in this process. */
export interface WaitingLimits {
  readonly ofProcess: number;
  readonly ofTenant: number;
}

/** A caller whose connection is open. */
export class WaitingCaller implements Disposable {
  private readonly told = Promise.withResolvers<RequestEnd>();

  constructor(private readonly leave: () => void) {}

  /** Resolves with the decision, or the job, when it was told. It may never be. */
  get end(): Promise<RequestEnd> {
    return this.told.promise;
  }

  tell(end: RequestEnd): void {
    this.told.resolve(end);
  }

  [Symbol.dispose](): void {
    this.leave();
  }
}

const waiting = gauge('millrace_decision_callers_waiting', 'Callers who wait for a decision.', {});

/** The callers who wait in this process, by the events of their requests. */
@Injectable()
export class WaitingCallers {
  private readonly byEvent = new Map<string, Set<WaitingCaller>>();
  private readonly byTenant = new Map<string, number>();
  private count = 0;

  constructor(private readonly limits: WaitingLimits) {}

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Takes a place, until it is disposed. @throws DecisionsBusy */
  enter(tenant: string, eventId: string): WaitingCaller {
    const { ofProcess, ofTenant } = this.limits;
    const already = this.byTenant.get(tenant) ?? 0;
    if (already >= ofTenant) throw new DecisionsBusy(already, 'tenant');
    if (this.count >= ofProcess) throw new DecisionsBusy(this.count, 'process');
    const key = keyOf(tenant, eventId);
    const caller = new WaitingCaller(() => this.leave(tenant, key, caller));
    const callers = this.byEvent.get(key) ?? new Set();
    this.byEvent.set(key, callers.add(caller));
    this.byTenant.set(tenant, already + 1);
    this.count += 1;
    waiting.set(this.count);
    return caller;
  }

  tell(tenant: string, eventId: string, end: RequestEnd): void {
    for (const caller of this.byEvent.get(keyOf(tenant, eventId)) ?? []) caller.tell(end);
  }

  private leave(tenant: string, key: string, caller: WaitingCaller): void {
    const callers = this.byEvent.get(key);
    if (!callers?.delete(caller)) return; // it has left
    if (callers.size === 0) this.byEvent.delete(key);
    const left = this.byTenant.get(tenant)! - 1;
    if (left === 0) this.byTenant.delete(tenant);
    else this.byTenant.set(tenant, left);
    this.count -= 1;
    waiting.set(this.count);
  }
}

function keyOf(tenant: string, eventId: string): string {
  return `${tenant}/${eventId}`;
}
