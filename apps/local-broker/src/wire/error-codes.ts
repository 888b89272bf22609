/** https://kafka.apache.org/protocol.html#protocol_error_codes, as far as this broker answers them. */
export const errorCodes = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  invalidPartitions: 37,
  invalidTopic: 17,
  invalidRequest: 42,
  outOfOrderSequenceNumber: 45,
  duplicateSequenceNumber: 46,
  invalidProducerEpoch: 47,
  storageError: 56,
} as const;

export type ErrorCode = (typeof errorCodes)[keyof typeof errorCodes];
