import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { Door, Receive, RequestHead } from '#libs/service';
import { Callers } from '../intake/callers.js';
import { DecisionService } from './decision.service.js';

/** `POST /v1/decisions/{flow}`: a decision by a deadline, with an API key. */
@Injectable()
export class DecisionDoor implements Door {
  readonly path = '/v1/decisions/';
  readonly route = '/v1/decisions/:flow';

  constructor(
    private readonly callers: Callers,
    private readonly decisions: DecisionService,
    doors: Doors,
  ) {
    doors.open(this);
  }

  async admit({ headers, address }: RequestHead): Promise<Receive> {
    const principal = await this.callers.principalOf('decisions', headers);
    return (request, onClose) => this.decisions.decide(address, { ...request, onClose }, principal);
  }
}
