import { Injectable } from '@nestjs/common';
import { NotFound } from '#libs/contracts';
import { policyHeader } from '#libs/service';
import type { DoorRequest, DoorResponse, RequestHead } from '#libs/service';
import { HandshakeRefused, SignatureMismatch } from '#libs/signatures';
import type { UnsignedResponse } from '#libs/signatures';
import { eventsOf, handshakeResponse, readRequest, requireOwner, verifyWebhook } from '#libs/sources';
import type { Source, WebhookSource } from '#libs/sources';
import { logger } from '#libs/tracing';
import { IntakeLog, noteEvents } from '../intake/intake-log.js';
import type { IntakeLogEntry } from '../intake/intake-log.js';
import { Intake } from '../intake/intake.js';
import { RequestLimits } from '../limits/request.limits.js';
import { RequestKeeper } from '../requests/request.keeper.js';
import { SourceCatalog } from '../sources/source-catalog.js';

const notices = logger('webhooks');

@Injectable()
export class WebhookService {
  constructor(
    private readonly sources: SourceCatalog,
    private readonly intake: Intake,
    private readonly log: IntakeLog,
    private readonly keeper: RequestKeeper,
    private readonly limits: RequestLimits,
  ) {}

  /** The methods besides POST that the provider of a source uses for handshakes; none if there is no such source. */
  async handshakeMethods(address: string): Promise<readonly string[]> {
    const handshakes = (await this.sources.atNew(address))?.webhook?.preset.handshakes ?? [];
    return [...new Set(handshakes.map(({ method }) => method))].filter((method) => method !== 'POST');
  }

  /**
   * Refuses a request for a source that does not exist, or with a body that it does not take, before the body is read.
   * @throws NotFound, RequestTooLarge, ConfigurationUnavailable
   */
  async requireSource({ address, headers }: RequestHead): Promise<void> {
    try {
      const { rules } = requireWebhooks(await this.sources.atNew(address), address);
      rules?.requireBodyBytes(Number(headers['content-length'] ?? 0));
    } catch (error) {
      await this.log.record('webhooks', headers['traceparent'], () => Promise.reject(error));
    }
  }

  /**
   * Appends the events of a request, or answers a handshake. The body is not read as events before the signature was verified.
   * @param request its address is `tenant.source`
   * @throws NotFound, SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, HandshakeRefused, HandshakeMalformed,
   *   BodyMalformed, MediaTypeUnsupported, RequestTooSplit, RequestLimited, LogUnavailable, ConfigurationUnavailable
   */
  receive(request: DoorRequest): Promise<DoorResponse> {
    return this.log.record('webhooks', request.headers['traceparent'], (entry) => this.accept(request, entry));
  }

  private async accept(request: DoorRequest, entry: IntakeLogEntry): Promise<DoorResponse> {
    const known = requireWebhooks(this.sources.at(request.address), request.address);
    entry.tenant = known.tenant;
    entry.source = known.name;
    entry.scheme = known.scheme;
    let isVerified = false;
    try {
      known.rules?.requireAddress(request.clientAddress);
      known.rules?.requireBodyBytes(request.rawBody.length);
      if (request.method !== 'POST') return this.answerUnsigned(known.webhook, request, entry);
      const { source, unsigned } = await this.verified(known, request);
      if (unsigned !== undefined) {
        const { forOperator, ...response } = unsigned;
        if (forOperator !== undefined) notices.warn({ source: request.address }, forOperator);
        entry.handshake = true;
        return response;
      }
      isVerified = true;
      return await this.take(source, request, entry);
    } catch (error) {
      this.keeper.refused(known, request, { error, isVerified });
      throw error;
    }
  }

  /** Appends the events of a request that is verified. */
  private async take(source: Source & { webhook: WebhookSource }, request: DoorRequest, entry: IntakeLogEntry): Promise<DoorResponse> {
    const { preset } = source.webhook;
    const received = readRequest(preset, request);
    const handshake = handshakeResponse(source.webhook, request, received.body);
    if (handshake !== undefined) {
      entry.handshake = true;
      return handshake;
    }
    requireOwner(source.webhook, received.body);
    const policies = await this.limits.take(source);
    const { headers, receivedAtMs } = request;
    const events = await this.intake.accept(
      eventsOf(preset, received).map(({ payload, text, contentType, body }) => {
        return { source, input: { body, headers }, payload, text, contentType, receivedAtMs };
      }),
      entry.traceparent,
    );
    noteEvents(entry, events);
    this.keeper.accepted(source, request, events);
    const response: DoorResponse = preset.answer?.(received.body) ?? {
      status: 200,
      body: { eventIds: events.map(({ eventId }) => eventId) },
    };
    return policies === undefined
      ? response
      : { ...response, headers: { ...response.headers, 'ratelimit-policy': policyHeader(policies) } };
  }

  /** Verifies by the source as it is known, and as it was changed a moment ago. @throws as a Verifier does */
  private async verified(
    known: Source & { webhook: WebhookSource },
    request: DoorRequest,
  ): Promise<{ source: Source & { webhook: WebhookSource }; unsigned: UnsignedResponse | undefined }> {
    try {
      return { source: known, unsigned: verifyWebhook(known.webhook, request) };
    } catch (error) {
      const changed = error instanceof SignatureMismatch ? await this.sources.changed(known) : undefined;
      if (changed === undefined) throw error;
      const source = requireWebhooks(changed, request.address);
      return { source, unsigned: verifyWebhook(source.webhook, request) };
    }
  }

  private answerUnsigned(webhook: WebhookSource, request: DoorRequest, entry: IntakeLogEntry): DoorResponse {
    const handshake = handshakeResponse(webhook, request, null);
    if (handshake === undefined) throw new HandshakeRefused(request.method, []);
    entry.handshake = true;
    return handshake;
  }
}

/** @throws NotFound */
function requireWebhooks(source: Source | undefined, address: string): Source & { webhook: WebhookSource } {
  if (source?.webhook === undefined)
    throw new NotFound('source', address, {
      message: `No source takes webhooks at ${address.slice(0, 130)}; the address is tenant.source`,
    });
  return source as Source & { webhook: WebhookSource };
}
