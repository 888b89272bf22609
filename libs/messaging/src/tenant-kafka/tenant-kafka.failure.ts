/** - `login`: the credential was refused · `connection`: none, or it broke · `late`: the time was over · `answer`: a broker said no */
export type TenantKafkaFailureKind = 'login' | 'connection' | 'late' | 'answer';

interface FailureDetail {
  readonly isUncertain?: boolean;
  readonly mayPass?: boolean;
  readonly cause?: unknown;
}

/** A session with a tenant's Kafka failed. Its message holds no secret. */
export class TenantKafkaFailure extends Error {
  /** True if the record may be in the topic all the same. */
  readonly isUncertain: boolean;
  /** True if the same request may succeed soon. */
  readonly mayPass: boolean;

  constructor(
    readonly kind: TenantKafkaFailureKind,
    /** The name of the error that a broker answered, as Kafka's protocol has it. */
    readonly type: string | undefined,
    message: string,
    { isUncertain = false, mayPass = false, cause }: FailureDetail = {},
  ) {
    super(message, { cause });
    this.isUncertain = isUncertain;
    this.mayPass = mayPass;
  }

  /** The same failure of a record that an earlier request may have appended. */
  uncertain(): TenantKafkaFailure {
    const { kind, type, message, mayPass, cause } = this;
    return new TenantKafkaFailure(kind, type, message, { isUncertain: true, mayPass, cause });
  }
}

/** An error of kafkajs. https://github.com/tulios/kafkajs/blob/v2.2.4/src/errors.js */
interface KafkajsError extends Error {
  readonly type?: string;
  readonly retriable?: boolean;
}

/** Answers after which nobody knows whether the record stays in the topic. */
const uncertainAnswers = new Set([
  'REQUEST_TIMED_OUT',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN',
  'KAFKAJS_UNKNOWN_ERROR_CODE',
]);
const refusedLogins = new Set(['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE']);

export interface TenantKafkaContext {
  /** True if a produce request was handed to the network. */
  readonly wasSent: boolean;
  /** The last error of a socket, which kafkajs does not hand on. */
  readonly socketError: Error | undefined;
  /** True if a repeat would meet that error again. */
  readonly isFinal: boolean;
}

/** The meaning of what a session failed with. */
export function failureOf(error: unknown, context: TenantKafkaContext): TenantKafkaFailure {
  const root = rootOf(error);
  if (root instanceof TenantKafkaFailure) return root;
  const { name, type, message, retriable = false } = root as KafkajsError;
  if (name === 'KafkaJSSASLAuthenticationError' || refusedLogins.has(type ?? '')) return new TenantKafkaFailure('login', type, message);
  if (name === 'KafkaJSProtocolError' && type !== undefined) {
    const isUncertain = context.wasSent && uncertainAnswers.has(type);
    // The metadata of a topic that is not there does not change while one waits; after that, a new leader may not know it yet.
    const mayPass = retriable && (context.wasSent || type !== 'UNKNOWN_TOPIC_OR_PARTITION');
    return new TenantKafkaFailure('answer', type, message, { isUncertain, mayPass });
  }
  const { socketError, wasSent, isFinal } = context;
  const said = socketError?.message ?? message;
  return new TenantKafkaFailure('connection', undefined, said, { isUncertain: wasSent, mayPass: !isFinal, cause: socketError });
}

/** kafkajs wraps what it does not repeat. */
function rootOf(error: unknown): unknown {
  let root = error;
  for (let depth = 0; depth < 5 && root instanceof Error && isWrapper(root) && root.cause instanceof Error; depth += 1) root = root.cause;
  return root;
}

function isWrapper({ name }: Error): boolean {
  return name === 'KafkaJSNumberOfRetriesExceeded' || name === 'KafkaJSNonRetriableError';
}
