import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { Door, Receive, RequestHead } from '#libs/service';
import { Callers } from '../intake/callers.js';
import { CloudEventService } from './cloud-event.service.js';
import { hasLines, linesType } from './cloud-event.js';
import { webhookValidation } from './webhook-validation.js';

/** `POST /v1/events`: CloudEvents 1.0 with an API key. */
@Injectable()
export class CloudEventDoor implements Door {
  readonly path = '/v1/events';
  readonly route = '/v1/events';

  constructor(
    private readonly callers: Callers,
    private readonly cloudEvents: CloudEventService,
    doors: Doors,
  ) {
    doors.open(this);
  }

  otherMethods(): readonly string[] {
    return ['OPTIONS'];
  }

  async admit({ method, headers }: RequestHead): Promise<Receive> {
    if (method === 'OPTIONS') return async () => webhookValidation(headers);
    const principal = await this.callers.principalOf('events', headers);
    if (!hasLines(headers)) return async (request) => ({ status: 202, body: await this.cloudEvents.receive(request, principal) });
    return async (request) => {
      const results = await this.cloudEvents.receiveLines(request, principal);
      const body = results.map((result) => `${JSON.stringify(result)}\n`).join('');
      return { status: 200, body, headers: { 'content-type': linesType } };
    };
  }
}
