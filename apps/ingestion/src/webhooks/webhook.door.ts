import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { Door, DoorResponse, DoorRequest } from '#libs/service';
import { WebhookService } from './webhook.service.js';

/** `POST /webhooks/{tenant}.{source}`: a partner pushes, signed with a secret that it shares with us. */
@Injectable()
export class WebhookDoor implements Door {
  readonly path = '/webhooks/';
  readonly route = '/webhooks/:sourceId';

  constructor(
    private readonly webhooks: WebhookService,
    doors: Doors,
  ) {
    doors.open(this);
  }

  async receive(request: DoorRequest): Promise<DoorResponse> {
    return { status: 200, body: await this.webhooks.receive(request) };
  }
}
