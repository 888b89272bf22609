import { describe, expect, test } from 'vitest';
import { EventReceived, document, eventBody, parseBody } from '#libs/contracts';
import type { SourceDocument } from '#libs/contracts';
import { eventOf } from '#libs/intake';
import type { DoorRequest } from '#libs/service';
import { providers } from '#libs/signatures';
import { logger } from '#libs/tracing';
import { bodyText, jsonHeaders } from '../../../../libs/signatures/src/proof.js';
import type { PresetProof, ProofSample } from '../../../../libs/signatures/src/proof.js';
import { proofs } from '../../../../libs/signatures/src/proofs.generated.js';
import { IntakeLog } from '../intake/intake-log.js';
import type { Intake, VerifiedEvent } from '../intake/intake.js';
import { resolveSource } from '#libs/sources';
import type { RequestLimits } from '../limits/request.limits.js';
import type { RequestKeeper } from '../requests/request.keeper.js';
import type { SourceCatalog } from '../sources/source-catalog.js';
import { WebhookService } from './webhook.service.js';

const atMs = 1_900_000_000_000;
type Name = keyof typeof providers;

/** The door, and what it has put on the log. */
function door(name: Name, { secrets, publicUrl, parameters }: PresetProof) {
  const metadata = { tenant: 'acme', name: 'partner' };
  const values = secrets.map(({ secret: value }) => ({ value }));
  const given = { apiVersion: 'millrace/v1', kind: 'Source', metadata, spec: { scheme: name, secrets: values, publicUrl, parameters } };
  const { spec } = document.parse(given) as SourceDocument;
  const source = resolveSource('acme', 'partner', spec);
  const sources = { at: () => source, changed: async () => undefined } as unknown as SourceCatalog;
  const log: EventReceived[] = [];
  const limits = { take: () => Promise.resolve(undefined) } as unknown as RequestLimits;
  const keeper = { refused: () => undefined, accepted: () => undefined } as unknown as RequestKeeper;
  const accept = async (admitted: readonly VerifiedEvent[]) => {
    for (const one of admitted) log.push(eventOf(one, await source.fields.read(one.input)));
    return log;
  };
  return { log, service: new WebhookService(sources, { accept } as unknown as Intake, new IntakeLog(0, logger('test')), keeper, limits) };
}

function received(request: Partial<DoorRequest> & { headers: Readonly<Record<string, string>> }): DoorRequest {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([header, value]) => [header.toLowerCase(), value]));
  return {
    method: 'POST',
    target: '/webhooks/acme.partner',
    address: 'acme.partner',
    clientAddress: '192.0.2.1',
    isProxied: false,
    receivedAtMs: atMs,
    rawBody: Buffer.alloc(0),
    ...request,
    headers,
    rawHeaders: Object.entries(headers).flat(),
  };
}

function signed(proof: PresetProof, sample: ProofSample): DoorRequest {
  const { secret, key = secret } = proof.secrets[0];
  const { headers, body, target } = proof.sign({ body: bodyText(sample), id: 'msg_2b7fJc0XhPq', atMs, key });
  return received({
    headers: { ...(sample.headers ?? jsonHeaders), ...headers },
    rawBody: Buffer.from(body),
    ...(target === undefined ? {} : { target }),
  });
}

describe.each(Object.entries(proofs) as [Name, PresetProof][])('%s', (name, proof) => {
  test.each(proof.samples)('$title becomes what its provider’s documentation says', async (sample) => {
    const { service, log } = door(name, proof);
    const answer = await service.receive(signed(proof, sample));
    const events = log.map((event) => EventReceived.check.parse(event));
    const found = events.map((event) => ({
      eventId: event.providerEventId,
      type: event.type,
      customer: event.customer === '-/partner' ? null : event.customer,
      occurredAt: event.occurredAt === event.receivedAt ? null : event.occurredAt,
      body: parseBody(event.contentType, eventBody(event)),
    }));
    const expected = (sample.events ?? []).map((event) => ({ body: expect.anything(), ...event }));
    expect(found).toEqual(expected.map((event) => (event.body === null ? { ...event, body: null } : event)));
    const ids = { status: 200, body: { eventIds: events.map(({ eventId }) => eventId) } };
    expect(answer).toEqual(sample.handshake ?? sample.answer ?? ids);
    expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length);
  });

  test.each(proof.handshakes ?? [])('$title', async ({ request: { method = 'POST', target, headers = {}, body = '' }, response }) => {
    const { service, log } = door(name, proof);
    const request = received({ method, headers, rawBody: Buffer.from(body), ...(target === undefined ? {} : { target }) });
    if (response === undefined)
      await expect(service.receive(request)).rejects.toMatchObject({ code: expect.stringMatching(/^signature\./) });
    else expect(await service.receive(request)).toEqual(response);
    expect(log).toEqual([]);
  });
});
