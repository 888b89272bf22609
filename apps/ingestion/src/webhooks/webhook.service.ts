import { Injectable } from '@nestjs/common';
import { NotFound, bodyFormat } from '#libs/contracts';
import type { Json } from '#libs/json';
import { MediaTypeUnsupported } from '#libs/service';
import type { DoorRequest, DoorResponse, RequestHead } from '#libs/service';
import { HandshakeRefused } from '#libs/signatures';
import type { HandshakeResponse, Preset } from '#libs/signatures';
import { readBody } from '../intake/body.js';
import { IntakeLog, noteEvents } from '../intake/intake-log.js';
import type { IntakeLogEntry } from '../intake/intake-log.js';
import { Intake } from '../intake/intake.js';
import type { VerifiedEvent } from '../intake/intake.js';
import { SourceCatalog } from '../sources/source-catalog.js';
import type { Source, WebhookSource } from '../sources/source-catalog.js';

@Injectable()
export class WebhookService {
  constructor(
    private readonly sources: SourceCatalog,
    private readonly intake: Intake,
    private readonly log: IntakeLog,
  ) {}

  /** The methods besides POST that the provider of a source uses for handshakes; none if there is no such source. */
  async handshakeMethods(address: string): Promise<readonly string[]> {
    const methods = (await this.sources.atNew(address))?.webhook?.preset.handshake?.methods ?? [];
    return methods.filter((method) => method !== 'POST');
  }

  /** Refuses a request for a source that does not exist, before its body is read. @throws NotFound, ConfigurationUnavailable */
  async requireSource({ address, headers }: RequestHead): Promise<void> {
    try {
      requireWebhooks(await this.sources.atNew(address), address);
    } catch (error) {
      await this.log.record('webhooks', headers['traceparent'], () => Promise.reject(error));
    }
  }

  /**
   * Appends an event, or answers a handshake. The body is not parsed before the signature was verified.
   * @param request its address is `tenant.source`
   * @throws NotFound, SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, HandshakeRefused, HandshakeMalformed,
   *   BodyMalformed, MediaTypeUnsupported, LogUnavailable, ConfigurationUnavailable
   */
  receive(request: DoorRequest): Promise<DoorResponse> {
    return this.log.record('webhooks', request.headers['traceparent'], (entry) => this.accept(request, entry));
  }

  private async accept(request: DoorRequest, entry: IntakeLogEntry): Promise<DoorResponse> {
    const source = requireWebhooks(this.sources.at(request.address), request.address);
    entry.tenant = source.tenant;
    entry.source = source.name;
    entry.scheme = source.scheme;
    if (request.method !== 'POST') return this.answerUnsigned(source.webhook, request, entry);
    source.webhook.verifier.verify(request, request.receivedAtMs);

    const { payload, text, contentType, body } = readEvent(source.webhook.preset, request);
    const handshake = handshakeResponse(source.webhook, request, body);
    if (handshake !== undefined) {
      entry.handshake = true;
      return handshake;
    }
    const input = { body, headers: request.headers };
    const events = await this.intake.accept(
      [{ source, input, payload, text, contentType, receivedAtMs: request.receivedAtMs }],
      entry.traceparent,
    );
    noteEvents(entry, events);
    return { status: 200, body: { eventIds: [events[0]!.eventId] } };
  }

  private answerUnsigned(webhook: WebhookSource, request: DoorRequest, entry: IntakeLogEntry): DoorResponse {
    const handshake = handshakeResponse(webhook, request, null);
    if (handshake === undefined) throw new HandshakeRefused();
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

/** The event in a verified body. If the provider puts JSON in a field of a form, that JSON is the event. */
function readEvent(
  preset: Preset,
  { headers, rawBody }: DoorRequest,
): Pick<VerifiedEvent, 'payload' | 'text' | 'contentType'> & { body: Json } {
  const contentType = headers['content-type'] ?? (preset.sends === 'any' ? 'application/octet-stream' : 'application/json');
  const format = bodyFormat(contentType);
  if (preset.sends !== 'any' && !preset.sends.some((sent) => sent === format)) {
    throw new MediaTypeUnsupported(contentType, preset.sends.includes('form') ? 'application/json or a form' : 'application/json');
  }
  const { value: body, text } = readBody(contentType, rawBody, 'body');
  const inner = format === 'form' && preset.jsonField !== undefined ? (body as Record<string, Json>)[preset.jsonField] : undefined;
  if (typeof inner !== 'string') return { payload: rawBody, text, contentType, body };
  const payload = Buffer.from(inner);
  const read = readBody('application/json', payload, `body.${preset.jsonField}`);
  return { payload, text: read.text, contentType: 'application/json', body: read.value };
}

function handshakeResponse({ preset, secrets }: WebhookSource, request: DoorRequest, body: Json): HandshakeResponse | undefined {
  const { handshake } = preset;
  if (handshake === undefined || !handshake.methods.some((method) => method === request.method)) return undefined;
  const { method, target, headers } = request;
  return handshake.respond({
    method,
    headers,
    body,
    secrets,
    get query() {
      return new URLSearchParams(target.split('?', 2)[1]);
    },
  });
}
