import { DomainError, failures } from '#libs/contracts';

/** The flow has no `onRequest`. */
export class FlowTakesNoRequests extends DomainError {
  readonly code = 'flow.takesNoRequests';
  override readonly field = 'flow';

  constructor(flow: string) {
    super(`flow: ${flow} takes no requests for decisions; give its document spec.onRequest with the default decision`);
  }
}

/** The process, or the tenant, has as many callers who wait for decisions as it may. */
export class DecisionsBusy extends DomainError {
  readonly code = 'decision.busy';
  override readonly retryAfterMs = 1_000;

  constructor(waiting: number, whose: 'process' | 'tenant') {
    super(`${failures['decision.busy'].title}: ${waiting} callers of the ${whose}; come back later, or give a job (POST /v1/jobs)`);
  }
}
