/** https://kafka.apache.org/protocol.html#protocol_error_codes, as far as this broker uses them. */
export const errorCodes = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  offsetMetadataTooLarge: 12,
  coordinatorNotAvailable: 15,
  invalidTopic: 17,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  invalidSessionTimeout: 26,
  rebalanceInProgress: 27,
  invalidTimestamp: 32,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  invalidPartitions: 37,
  invalidReplicationFactor: 38,
  invalidConfig: 40,
  invalidRequest: 42,
  outOfOrderSequenceNumber: 45,
  invalidProducerEpoch: 47,
  storageError: 56,
  memberIdRequired: 79,
} as const;

export type ErrorCode = (typeof errorCodes)[keyof typeof errorCodes];
