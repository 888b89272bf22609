import { z } from 'zod';
import { EventAppender } from '#libs/intake';
import { event } from '../events/event.operations.js';
import type { EventRow } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { priced } from '../operations/shape.js';
import { getRequest, listRequests, request, sendTestEvents, takeRequest, verifyRequest } from './request.operations.js';
import type { RequestRow } from './request.operations.js';
import { RequestRedactions } from './request.redactions.js';
import { RequestService } from './request.service.js';
import { RequestTable, eventIdsOfRequest, requestBody, requestById, requestIdsOfEvent, textOf } from './request.table.js';

export const requestPart = part({
  providers: [EventAppender, RequestRedactions, RequestTable, RequestService],
  node: { entity: request, find: ({ load }, id) => load(requestById, id) },
  fields: [
    fieldsOf<RequestRow>(request, (field) => ({
      body: field(
        priced({ weight: 5 }, z.string().nullable()).describe('What is kept of the body, as text; null if it is no UTF-8.'),
        async ({ id }, { load }) => textOf((await load(requestBody, id)) ?? Buffer.alloc(0)),
      ),
      bodyBase64: field(priced({ weight: 5 }, z.string()).describe('What is kept of the body, as base64.'), async ({ id }, { load }) =>
        ((await load(requestBody, id)) ?? Buffer.alloc(0)).toString('base64'),
      ),
      redacted: field(
        priced({ weight: 5 }, z.array(z.string())).describe(
          'What was left out for being secret, or is a secret of the source as it is now: `header authorization`, `query token`, `body` where it holds a secret of the source.',
        ),
        async ({ id, redacted }, { load }) => {
          const isHidden = !redacted.includes('body') && (await load(requestBody, id)) === null;
          return isHidden ? [...redacted, 'body'] : [...redacted];
        },
      ),
      events: field(
        priced({ weight: 2, rows: 1 }, z.array(event)).describe('The events that it brought, as far as they are stored: the first 100.'),
        async ({ id }, { load }) => {
          const found = await Promise.all((await load(eventIdsOfRequest, id)).map((one) => load(eventById, one)));
          return found.filter((one) => one !== null);
        },
      ),
    })),
    fieldsOf<EventRow>(event, (field) => ({
      requests: field(
        priced({ weight: 2, rows: 1 }, z.array(request)).describe(
          'The requests that brought it, if they are kept: the newest 20. A source says with `keepRequests` whether accepted ones are.',
        ),
        async ({ id }, { load }) => {
          const found = await Promise.all((await load(requestIdsOfEvent, id)).map((one) => load(requestById, one)));
          return found.filter((one) => one !== null);
        },
      ),
    })),
  ],
  operations: [
    handle(getRequest, ({ load }, { id }) => load(requestById, id)),
    handle(listRequests, ({ principal, get }, { filter, ...page }) => get(RequestTable).page(principal.tenant, filter ?? {}, page)),
    handle(verifyRequest, ({ principal, get }, { id }) => get(RequestService).verify(principal, id)),
    handle(takeRequest, ({ principal, get }, { id }) => get(RequestService).take(principal, id)),
    handle(sendTestEvents, ({ principal, get }, input) => get(RequestService).sendTest(principal, input)),
  ],
});
