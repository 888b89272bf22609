import { OperationFailure } from '#libs/connectors';
import type { Connectors, OperationCall, Receipt } from '#libs/connectors';
import type { DestinationSpecOf, OperationIdempotency } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { latencyMs, wallTimeMs } from '#libs/time';
import { DeliveryOperationFailed, DeliveryUnsettled, DeliveryUnverified } from '../delivery.errors.js';
import type { Deliverer, DelivererTools, OutboundDelivery } from '../deliverer.js';

/** An operation of the connector of a connection. The payload is its input. */
export class OperationDeliverer implements Deliverer<'operation'> {
  private readonly connectors: Connectors;
  private readonly openConnection: DelivererTools['openConnection'];

  constructor({ connectors, openConnection }: Omit<DelivererTools, 'http'>) {
    this.connectors = connectors;
    this.openConnection = openConnection;
  }

  /** @throws also NotFound, and what the authorizer of the connection throws */
  async deliver(delivery: OutboundDelivery, destination: DestinationSpecOf<'operation'>, signal: AbortSignal): Promise<Receipt> {
    const { tenant, id, payload, traceparent, reachedAt } = delivery;
    const { connection: name, operation, timeoutMs } = destination;
    const connection = { ...this.openConnection(tenant, name), timeoutMs };
    const firstAttemptAt = reachedAt ?? undefined;
    const call = { connection, operation, input: parseStoredJson(payload), effectKey: id, firstAttemptAt, traceparent, signal };
    const { idempotency } = this.connectors.operation(connection, operation);
    try {
      const found = idempotency?.class === 'verify' && reachedAt !== null ? await this.lookUp(call, idempotency, reachedAt) : undefined;
      return found ?? (await this.connectors.run(call)).receipt;
    } catch (error) {
      if (!(error instanceof OperationFailure)) throw error;
      // The system has done what it was asked to: only its answer is not what the connector expects.
      if (error.code === 'operation.outputInvalid' && error.receipt !== null) return error.receipt;
      throw new DeliveryOperationFailed(error);
    }
  }

  /**
   * The receipt of an effect that an earlier attempt had; undefined if there is none, or the operation may be repeated without knowing.
   * @throws DeliveryUnsettled, DeliveryUnverified; OperationFailure if the look-up may succeed later
   */
  private async lookUp(
    call: OperationCall,
    { operation, settleMs, otherwise }: Extract<OperationIdempotency, { class: 'verify' }>,
    reachedAt: Date,
  ): Promise<Receipt | undefined> {
    if (latencyMs(reachedAt.getTime(), wallTimeMs()) < settleMs) throw new DeliveryUnsettled(reachedAt.getTime() + settleMs);
    const verified = await this.connectors.verify(call);
    if (typeof verified === 'object') {
      const { summary, detail } = verified.found.receipt;
      return { summary: `${summary} from ${operation}, which found the effect of an earlier attempt`, detail };
    }
    if (verified === 'unknown' && otherwise === 'park') throw new DeliveryUnverified(operation, reachedAt);
    return undefined;
  }
}
