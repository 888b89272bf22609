import { OperationFailure } from '#libs/connectors';
import type { Connectors, Receipt, RepeatedCall } from '#libs/connectors';
import type { DestinationSpecOf } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
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
    const { tenant, id, payload, traceparent, reachedAt, requireClaim } = delivery;
    const { connection: name, operation, timeoutMs } = destination;
    const connection = { ...this.openConnection(tenant, name), timeoutMs };
    const call = { connection, operation, input: parseStoredJson(payload), effectKey: id, traceparent, requireClaim, signal };
    const { idempotency } = this.connectors.operation(connection, operation);
    try {
      const isVerified = idempotency?.class === 'verify' && reachedAt !== null;
      const found = isVerified ? await this.lookUp({ ...call, firstAttemptAt: reachedAt }) : undefined;
      return found ?? (await this.connectors.run({ ...call, firstAttemptAt: reachedAt ?? undefined })).receipt;
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
  private async lookUp(call: RepeatedCall): Promise<Receipt | undefined> {
    const verified = await this.connectors.verify(call);
    if (verified.is === 'unsettled') throw new DeliveryUnsettled(verified.settlesAtMs);
    if (verified.is === 'unknown') throw new DeliveryUnverified(verified.operation, call.firstAttemptAt);
    if (verified.is === 'absent') return undefined;
    const { summary, detail } = verified.result.receipt;
    return { summary: `${summary} from ${verified.operation}, which found the effect of an earlier attempt`, detail };
  }
}
