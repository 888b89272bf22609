import { handle, part } from '../operations/part.js';
import { listWebhooks, registerWebhook, unregisterWebhook } from './webhook.operations.js';
import { RegistrationService } from './registration.service.js';
import { WebhookTable } from './webhook.table.js';

export const webhookPart = part({
  providers: [WebhookTable, RegistrationService],
  operations: [
    handle(listWebhooks, ({ principal, get }) => get(WebhookTable).list(principal.tenant)),
    handle(registerWebhook, ({ principal, get }, input) => get(RegistrationService).register(principal, input)),
    handle(unregisterWebhook, ({ principal, get }, { source }) => get(RegistrationService).unregister(principal, source)),
  ],
});
