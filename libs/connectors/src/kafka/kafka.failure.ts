import { HostAddressForbidden } from '#libs/http';
import { PartitionMissing, TenantKafkaFailure } from '#libs/messaging';
import type { Redaction } from '#libs/redaction';
import { oneLine } from '../judgement.js';
import { InputRefused, OperationFailure, timedOut } from '../operation.errors.js';
import type { PeerCondition } from '../peer.js';

export interface KafkaContext {
  /** The bootstrap addresses, for people. */
  readonly cluster: string;
  readonly redaction: Redaction;
}

/** Answers that another attempt would get, too, with the remedy where it is not plain. https://kafka.apache.org/protocol.html#protocol_error_codes */
const permanent: Readonly<Record<string, string>> = {
  UNKNOWN_TOPIC_OR_PARTITION: ': there is no such topic, or the user may not see it. Create it, or grant the user Describe and Write',
  TOPIC_AUTHORIZATION_FAILED: ': grant the user Write on the topic',
  CLUSTER_AUTHORIZATION_FAILED: ': grant the user IdempotentWrite on the cluster, which Kafka before 3.0 asks for',
  MESSAGE_TOO_LARGE: ': the record is longer than `max.message.bytes` of the topic',
  RECORD_LIST_TOO_LARGE: ': the record is longer than a segment of the topic',
  INVALID_TOPIC_EXCEPTION: '',
  INVALID_RECORD: ': a compacted topic needs a key',
  INVALID_TIMESTAMP: ': the first attempt was longer ago than the topic takes',
  INVALID_REQUIRED_ACKS: '',
  INVALID_REQUEST: '',
  POLICY_VIOLATION: '',
  UNSUPPORTED_VERSION: ': the brokers are too old or too new',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: ': the topic has a format of Kafka before 0.11',
};

/** The meaning of what a session with a cluster failed with. @throws InputRefused, and what is no failure of a session */
export function failureOf(error: unknown, context: KafkaContext): OperationFailure {
  if (error instanceof PartitionMissing) throw new InputRefused(error.message);
  if (!(error instanceof TenantKafkaFailure)) throw error;
  const { kind, isUncertain, cause } = error;
  const { cluster } = context;
  const said = oneLine(context.redaction.apply(error.message));
  const failed = (code: OperationFailure['code'], message: string, peer: PeerCondition): OperationFailure =>
    new OperationFailure(code, message, { peer, isUncertain, cause });
  if (cause instanceof HostAddressForbidden) {
    const advertised =
      'Every broker must be reachable at the address that it advertises (`advertised.listeners`), not only those of the list';
    return failed('operation.addressForbidden', `${cause.message}. ${advertised}`, 'unknown');
  }
  if (kind === 'login') return failed('operation.unauthorized', `The Kafka at ${cluster} refused the credential: ${said}`, 'unauthorized');
  const after = isUncertain ? ' after the record was sent, so that it may be in the topic' : '';
  if (kind === 'late') return timedOut(`The Kafka at ${cluster} did not answer in time${after}`, isUncertain);
  if (kind === 'connection')
    return failed('operation.unavailable', `The session with the Kafka at ${cluster} broke off${after}: ${said}`, 'unreachable');
  return answered(error.type!, context, isUncertain);
}

function answered(type: string, { cluster }: KafkaContext, isUncertain: boolean): OperationFailure {
  const remedy = permanent[type];
  if (remedy !== undefined)
    return new OperationFailure('operation.refused', `The Kafka at ${cluster} refused the request with ${type}${remedy}`, {
      peer: 'up',
      isUncertain,
    });
  if (type === 'THROTTLING_QUOTA_EXCEEDED')
    return new OperationFailure('operation.limited', `The Kafka at ${cluster} asked for fewer requests with ${type}`, {
      peer: 'limited',
      isUncertain,
    });
  const after = isUncertain ? ', after which the record may be in the topic' : '';
  return new OperationFailure('operation.unavailable', `The Kafka at ${cluster} failed with ${type}${after}`, {
    peer: 'failing',
    isUncertain,
  });
}
