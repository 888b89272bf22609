import { acknowledged } from './checker.js';
import type { PromiseViolation } from './checker.js';
import { chaosKeys, chaosTenant } from './documents.js';
import { idOf } from './history.js';
import type { History } from './history.js';
import { readRows } from './rows.js';

/** The flow whose runs are given up at first, and retried by two operators at the same moment. */
const hasty = 'hasty';
/** Few events, and none of the first ones of a customer and lane, so that short runs for other checks have none of it. */
const place = { of: 25, at: 10 };

/** The flow fails for good while its event is younger than ten seconds. Its customers do not wait for the operators. */
export function retryDocuments(url: string): object[] {
  const head = { apiVersion: 'millrace/v1' };
  const metadata = { tenant: chaosTenant, name: hasty };
  const delaysMs = Array.from({ length: 30 }, () => 1_000);
  return [
    { ...head, kind: 'Destination', metadata, spec: { kind: 'http', url, secret: { value: chaosKeys.destination }, retry: { delaysMs } } },
    {
      ...head,
      kind: 'Flow',
      metadata,
      spec: {
        on: { sources: ['partner'], when: `event.data.data.sequence % ${place.of} = ${place.at}` },
        onFailure: 'skip',
        steps: [
          { id: 'ripen', map: { expression: '$millis() < $toMillis(event.receivedAt) + 10000 ? $number("too early") : 1' } },
          { id: 'tell', needs: ['ripen'], deliver: { destination: hasty, payload: '{ "eventId": event.id }' } },
        ],
        decision: 'steps.ripen',
      },
    },
  ];
}

/** A request that the destination of the flow got. */
export interface RetriedArrival {
  readonly webhookId: string;
  readonly eventId: string;
}

/** A run of the flow. */
export interface RetriedRun {
  readonly id: string;
  readonly eventId: string;
  readonly ticket: string;
  readonly state: string;
  readonly errorCode: string | null;
  /** The dead letter that it retries; null: it is the first one of its event. */
  readonly deadLetterId: string | null;
}

export function readRetried(databaseUrl: string): Promise<RetriedRun[]> {
  return readRows(
    databaseUrl,
    `SELECT run.id, run.event_id AS "eventId", event.provider_event_id AS ticket, run.state, run.error_code AS "errorCode",
       run.dead_letter_id AS "deadLetterId"
     FROM run JOIN event ON event.tenant_id = run.tenant_id AND event.id = run.event_id
     WHERE run.tenant_id = $1 AND run.flow = $2`,
    [chaosTenant, hasty],
  );
}

/** Each event comes to one decision and one delivery, whoever retried what of it and how often, and no dead letter is retried twice. */
export function checkRetried(
  { requests }: Pick<History, 'requests'>,
  runs: readonly RetriedRun[],
  arrivals: readonly RetriedArrival[],
): PromiseViolation[] {
  const expected = [...acknowledged(requests).values()].filter(({ sequence }) => sequence % place.of === place.at).map(idOf);
  const completed = Map.groupBy(
    runs.filter(({ state }) => state === 'completed'),
    ({ ticket }) => ticket,
  );
  const retries = Map.groupBy(
    runs.filter(({ deadLetterId, errorCode }) => deadLetterId !== null && errorCode !== 'run.cancelled'),
    ({ deadLetterId }) => deadLetterId,
  );
  const told = Map.groupBy(arrivals, ({ eventId }) => eventId);
  const ticketOf = new Map(runs.map(({ eventId, ticket }) => [eventId, ticket]));
  return [
    ...expected.flatMap((ticket): PromiseViolation[] =>
      completed.has(ticket) ? [] : [{ kind: 'lost', ticket, what: `it has no completed run of ${hasty}` }],
    ),
    ...[...completed].flatMap(([ticket, all]): PromiseViolation[] => {
      if (all.length > 1) return [{ kind: 'second effect', ticket, what: `${all.length} runs of ${hasty} on it are completed` }];
      return told.has(all[0]!.eventId) ? [] : [{ kind: 'lost', ticket, what: `the destination of ${hasty} never got it` }];
    }),
    ...[...retries].flatMap(([letter, all]): PromiseViolation[] =>
      all.length === 1 ? [] : [{ kind: 'second effect', ticket: all[0]!.ticket, what: `${letter} was retried ${all.length} times` }],
    ),
    ...[...told].flatMap(([eventId, all]): PromiseViolation[] =>
      new Set(all.map(({ webhookId }) => webhookId)).size === 1
        ? []
        : [{ kind: 'second effect', ticket: ticketOf.get(eventId), what: `the destination of ${hasty} got two deliveries of it` }],
    ),
  ];
}
