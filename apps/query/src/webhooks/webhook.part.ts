import { handle, part } from '../operations/part.js';
import { checkWebhooks, listWebhooks, registerWebhook, unregisterWebhook } from './webhook.operations.js';
import { RegistrationService } from './registration.service.js';
import { NamedSources } from './named-sources.js';
import { PartnerAccess } from './partner.access.js';
import { WebhookChecks } from './webhook.checks.js';
import { WebhookTable } from './webhook.table.js';

export const webhookPart = part({
  providers: [WebhookTable, NamedSources, PartnerAccess, RegistrationService, WebhookChecks],
  operations: [
    handle(listWebhooks, ({ principal, get }) => get(WebhookTable).list(principal.tenant)),
    handle(checkWebhooks, async ({ principal, get }, { source }) => ({ checks: await get(WebhookChecks).check(principal, source) })),
    handle(registerWebhook, ({ principal, get }, input) => get(RegistrationService).register(principal, input)),
    handle(unregisterWebhook, ({ principal, get }, { source }) => get(RegistrationService).unregister(principal, source)),
  ],
});
