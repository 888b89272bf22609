import type { FoundWebhook } from '#libs/connectors';
import type { Json } from '#libs/json';
import type { RegisteredWebhook } from './webhook.table.js';

/** The webhooks that call the address of the source, or that were registered for it. */
export function oursAmong(found: readonly FoundWebhook[], url: string, known: RegisteredWebhook | undefined): FoundWebhook[] {
  return found.filter((one) => one.url === url || isNoted(known, one));
}

export function isNoted(known: RegisteredWebhook | undefined, { id }: FoundWebhook): boolean {
  return known?.ids.some((one) => isSameId(one, id)) === true;
}

/** Ids are texts or numbers. */
export function isSameId(one: Json, other: Json): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each) => other.includes(each));
}
