import { Injectable } from '@nestjs/common';
import { Doors } from '#libs/service';
import type { Door, Receive, RequestHead } from '#libs/service';
import { Callers } from '../intake/callers.js';
import { DecisionService } from './decision.service.js';

/** `POST /v1/jobs`: a decision that nobody waits for, with an API key. Jobs are read at `query`. */
@Injectable()
export class JobDoor implements Door {
  readonly path = '/v1/jobs';
  readonly route = '/v1/jobs';

  constructor(
    private readonly callers: Callers,
    private readonly decisions: DecisionService,
    doors: Doors,
  ) {
    doors.open(this);
  }

  async admit({ headers }: RequestHead): Promise<Receive> {
    const principal = await this.callers.principalOf('jobs', headers);
    return (request) => this.decisions.begin(request, principal);
  }
}
