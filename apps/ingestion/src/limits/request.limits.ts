import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown } from '@nestjs/common';
import type { RequestRate } from '#libs/contracts';
import type { Demand, LimitStore } from '#libs/limits';
import { Configuration } from '#libs/persistence';
import { RequestLimited } from '#libs/service';
import type { LimitPolicy } from '#libs/service';
import type { Source } from '#libs/sources';

/** A source, or a flow that is asked for a decision, which has no rate of its own. */
type LimitedDoor = Pick<Source, 'tenant' | 'name' | 'rateLimit'>;

/** Token of the store of the limits. */
export const requestLimitStore = Symbol('limits of requests');

/**
 * The rates at which sources and tenants take requests. Only requests that proved who sent them count, so that nobody else can use up the rate of a
 * partner; what proves nothing is bounded by what it costs to refuse it.
 */
@Injectable()
export class RequestLimits implements BeforeApplicationShutdown {
  constructor(
    private readonly configuration: Configuration,
    @Inject(requestLimitStore) private readonly store: LimitStore,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    await this.store.close();
  }

  /**
   * Takes one request from the rates of its source and its tenant, or from none.
   * @returns the policies that it falls under; undefined where there are none, so that other sources do nothing for them
   * @throws RequestLimited
   */
  async take({ tenant, name, rateLimit }: LimitedDoor): Promise<readonly LimitPolicy[] | undefined> {
    const ofTenant = this.configuration.tenant(tenant)?.document.spec.rateLimit;
    if (rateLimit === undefined && ofTenant === undefined) return undefined;
    const policies = [...policyOf('source', rateLimit), ...policyOf('tenant', ofTenant)];
    const demands = [...demandOf(`source:${name}`, rateLimit), ...demandOf('tenant', ofTenant)];
    const waitMs = await this.store.take(`requests:${tenant}`, demands);
    if (waitMs > 0) throw new RequestLimited(policies, waitMs);
    return policies;
  }
}

function policyOf(name: LimitPolicy['name'], limit: RequestRate | undefined): LimitPolicy[] {
  return limit === undefined ? [] : [{ name, perMinute: limit.perMinute }];
}

function demandOf(key: string, limit: RequestRate | undefined): Demand[] {
  if (limit === undefined) return [];
  const { perMinute, burst = Math.max(1, Math.floor(perMinute / 2)) } = limit;
  return [{ key, perMinute, burst, cost: 1, spare: 0 }];
}
