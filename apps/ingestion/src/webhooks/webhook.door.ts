import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { Door, Receive, RequestHead } from '#libs/service';
import { WebhookService } from './webhook.service.js';

/** `POST /webhooks/{tenant}.{source}`: events that a partner signs. Also GET and HEAD, if the source's provider has a handshake for them. */
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

  otherMethods(address: string): Promise<readonly string[]> {
    return this.webhooks.handshakeMethods(address);
  }

  async admit(head: RequestHead): Promise<Receive> {
    await this.webhooks.requireSource(head);
    return (request) => this.webhooks.receive(request);
  }
}
