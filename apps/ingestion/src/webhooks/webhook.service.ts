import { Injectable } from '@nestjs/common';
import { NotFound, bodyFormat } from '#libs/contracts';
import type { Json } from '#libs/contracts';
import { MediaTypeUnsupported } from '#libs/service';
import type { DoorRequest } from '#libs/service';
import { verify } from '#libs/signatures';
import type { Preset } from '#libs/signatures';
import { readBody } from '../intake/body.js';
import { DoorWatch, noteEvents } from '../intake/door-watch.js';
import type { Sighting } from '../intake/door-watch.js';
import { Intake } from '../intake/intake.js';
import type { Admitted } from '../intake/intake.js';
import { BodyMalformed } from '../intake/request.errors.js';
import type { Arrival } from '../sources/facts.js';
import { SourceCatalog } from '../sources/source-catalog.js';
import type { CompiledHandshake } from '../sources/source-catalog.js';

/** The event's id; or, to a handshake, the text the provider wants to see. */
export type WebhookAnswer = { eventIds: string[] } | string;

@Injectable()
export class WebhookService {
  constructor(
    private readonly sources: SourceCatalog,
    private readonly intake: Intake,
    private readonly doors: DoorWatch,
  ) {}

  /**
   * Verifies first: until the signature fits, nothing of the body is read.
   * @param request its address is `tenant.source`
   * @throws NotFound, SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired, BodyMalformed, MediaTypeUnsupported,
   *   LogUnavailable, ConfigurationUnavailable
   */
  receive(request: DoorRequest): Promise<WebhookAnswer> {
    return this.doors.watch('webhooks', request.headers['traceparent'], (sighting) => this.accept(request, sighting));
  }

  private async accept(request: DoorRequest, sighting: Sighting): Promise<WebhookAnswer> {
    const source = this.sources.at(request.address);
    if (source?.webhook === undefined)
      throw new NotFound('source', request.address, {
        message: `No source takes webhooks at ${request.address.slice(0, 130)}; the address is tenant.source`,
      });
    sighting.tenant = source.tenant;
    sighting.source = source.name;
    sighting.scheme = source.scheme;
    const { signature, preset, handshake } = source.webhook;
    verify(signature, request, request.receivedAtMs);

    const { payload, text, contentType, body } = readEvent(preset, request);
    const arrival = { body, headers: request.headers };
    if (handshake !== undefined) {
      const reply = await replyTo(handshake, arrival);
      if (reply !== undefined) {
        sighting.handshake = true;
        return reply;
      }
    }
    const events = await this.intake.accept(
      [{ source, arrival, payload, text, contentType, receivedAtMs: request.receivedAtMs }],
      sighting.traceparent,
    );
    noteEvents(sighting, events);
    return { eventIds: [events[0]!.eventId] };
  }
}

/** What a verified body is. Where the provider put JSON in a form, that JSON is the event. */
function readEvent(preset: Preset, { headers, rawBody }: DoorRequest): Pick<Admitted, 'payload' | 'text' | 'contentType'> & { body: Json } {
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

async function replyTo(handshake: CompiledHandshake, arrival: Arrival): Promise<string | undefined> {
  if ((await handshake.when.evaluate(arrival)) !== handshake.is) return undefined;
  const reply = await handshake.reply.evaluate(arrival);
  if (typeof reply !== 'string') throw new BodyMalformed('body', `is a ${handshake.is} without what to reply`);
  return reply;
}
