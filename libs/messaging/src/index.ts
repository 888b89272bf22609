export { ensureTopics } from './ensure-topics.js';
export type { LogOptions } from './kafka-client.js';
export { LogConsumer } from './log-consumer.js';
export type { LogConsumerOptions } from './log-consumer.js';
export { LogUnavailable, RecordTooLarge } from './messaging.errors.js';
export { OnRecord } from './on-record.js';
export type { OnRecordOptions, RecordContext } from './on-record.js';
export { RecordProducer, maxRecordBytes } from './record-producer.js';
export type { Appended, RecordProducerOptions } from './record-producer.js';
