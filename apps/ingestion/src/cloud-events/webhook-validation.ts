import type { IncomingHttpHeaders } from 'node:http';
import type { DoorResponse } from '#libs/service';

/**
 * The answer to `OPTIONS`. A sender that asks with `WebHook-Request-Origin` learns that it may deliver, at any rate: each delivery still needs an API
 * key.
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
 */
export function webhookValidation(headers: IncomingHttpHeaders): DoorResponse {
  const origin = headers['webhook-request-origin'];
  const allow = { allow: 'POST, OPTIONS' };
  if (typeof origin !== 'string') return { status: 204, body: '', headers: allow };
  return { status: 200, body: '', headers: { ...allow, 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*' } };
}
