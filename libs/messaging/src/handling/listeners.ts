import { Injectable } from '@nestjs/common';

/**
 * The tenants that somebody in this process listens for. A group of audience `every-process` decodes and handles the records of these tenants and of no
 * other: for all others, a look at the header is enough.
 */
@Injectable()
export class Listeners {
  private readonly byTenant = new Map<string, number>();

  add(tenant: string): void {
    this.byTenant.set(tenant, (this.byTenant.get(tenant) ?? 0) + 1);
  }

  remove(tenant: string): void {
    const left = (this.byTenant.get(tenant) ?? 0) - 1;
    if (left > 0) this.byTenant.set(tenant, left);
    else this.byTenant.delete(tenant);
  }

  get isEmpty(): boolean {
    return this.byTenant.size === 0;
  }

  has(tenant: string): boolean {
    return this.byTenant.has(tenant);
  }
}
