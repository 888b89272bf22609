export {
  customerKey,
  heldAloneKey,
  isReservedCustomer,
  isUnnamedCustomer,
  lanes,
  name,
  noCustomer,
  ownerOfKey,
  parseSourceAddress,
  recordKey,
  sourceAddress,
  unnamedCustomer,
} from './names.js';
export type { Lane } from './names.js';
export {
  bulkOperationId,
  callKey,
  commandId,
  deadLetterId,
  deliveryId,
  effectKey,
  eventId,
  newRequestId,
  newReviewId,
  eventOfJob,
  jobId,
  newRunId,
  trialId,
} from './identifiers.js';
export type { DecidedRun } from './identifiers.js';
export { DomainError, EvaluationsBusy, NotFound, failures } from './errors.js';
export type { Failure, FailureCode, Outcome } from './errors.js';
export { failureReason, messageOf } from './failure-reason.js';
export { wordsForIssue, wordsForTypes } from './issue-words.js';
export type { UnknownName } from './issue-words.js';
export type { FailureReason } from './failure-reason.js';
export { typeMatcher } from './type-pattern.js';
export { eventStates } from './event-states.js';
export { pullState, pullStates } from './pull-states.js';
export type { PullState } from './pull-states.js';
export { scopes } from './scopes.js';
export type { Scope } from './scopes.js';
export { eventTopics, topics } from './topics.js';
export { json } from './json.js';
export { recordType } from './records/record.js';
export type { Owned, RecordType, Topic } from './records/record.js';
export { EventReceived, eventBody } from './records/event-received.js';
export type { DecisionRequest } from './records/event-received.js';
export { DecisionReplied } from './records/decision-replied.js';
export { DraftWritten } from './records/draft-written.js';
export { eventViewFields, viewOf } from './records/event-view.js';
export type { EventView } from './records/event-view.js';
export { bodyFormat, eventData, longestXmlCharacters, parseBody } from './records/event-data.js';
export { EventRecorded, RunCompleted, RunFailed } from './records/outcomes.js';
export type { PlannedDelivery } from './records/outcomes.js';
export { ConfigurationPublished, everyTenant } from './records/configuration-published.js';
export { DeliveryAttempted, DeliveryRecovered } from './records/deliveries.js';
export { deliveryStates } from './records/deliveries.js';
export type { DeliveryState } from './records/deliveries.js';
export {
  CancelRun,
  EnableDestination,
  Redeliver,
  ReplayEvent,
  RetryDeadLetter,
  SkipDeadLetter,
  CancelBulkOperation,
  CancelTrial,
  StartBulkOperation,
  StartTrial,
  PromoteOutcome,
  FireSchedule,
  StartPull,
  bulkOperationKinds,
  bulkSelections,
  longestTrialSeconds,
  looksPerTriedEvent,
  maxBulkRatePerSecond,
  mostEventsOfTrial,
  trialKinds,
} from './records/commands.js';
export type { BulkOperationKind, BulkSelection, CommandHead, TrialEvents, TrialKind } from './records/commands.js';
export { RequestReceived, requestOutcomes } from './records/request-received.js';
export type { RequestOutcome } from './records/request-received.js';
export { ContinueRun } from './records/continue-run.js';
export { DeadLettered } from './records/dead-lettered.js';
export type { DeadLetterKind } from './records/dead-lettered.js';
export { apiVersion } from './documents/document-of.js';
export {
  canHoldSecrets,
  describedDocumentKinds,
  document,
  documentKinds,
  mapSecrets,
  storedSecretsOf,
  marksOf,
  marksWithin,
  mostDocumentsAtOnce,
  referencesOf,
  referencesWithin,
  tenantOf,
} from './documents/document.js';
export type { Document, DocumentKind, DocumentLookup, Reference } from './documents/document.js';
export { eventSourceKinds } from './documents/references.js';
export type { Mark, MarkedValue } from './documents/marks.js';
export { clearText } from './documents/secret.js';
export type { Secret, StoredSecretReference } from './documents/secret.js';
export { presets } from './documents/presets.generated.js';
export { signsForAnybody, sourceHandshake } from './documents/handshake.js';
export type { HandshakeCondition, HandshakeValue, SourceHandshake, SourceHandshakeInput } from './documents/handshake.js';
export { signatureScheme } from './documents/signature-scheme.js';
export type { SignatureScheme, SignatureSchemeInput, SignatureSchemeKind, SignatureSchemeOf } from './documents/signature-scheme.js';
export type { RequestRate } from './documents/rate-limit.js';
export type { TenantDocument } from './documents/tenant.document.js';
export type { SourceDocument, SourceSpec } from './documents/source.document.js';
export { durationMs, longestWaitMs } from './documents/duration.js';
export { reviewPriorities } from './documents/steps/review.step.js';
export { mostArrivalsOfWait } from './documents/steps/wait.step.js';
export type { ApiWebhooks, ConnectorWebhooks } from './documents/connectors/webhooks.js';
export { webhookSchemes } from './documents/connectors/webhooks.js';
export { modelServices, outputLimitFields, structuredOutputs } from './documents/model-services.js';
export type { ModelService, ModelServiceName, OutputLimitField, StructuredOutput } from './documents/model-services.js';
export { resolvedService } from './documents/model-provider.document.js';
export type { ModelFacts, ModelProviderDocument, ModelProviderSpec } from './documents/model-provider.document.js';
export type { BudgetDocument, BudgetPeriod, BudgetSpec } from './documents/budget.document.js';
export { budgetPeriodAt, budgetStateAt, utcDayOf } from './budget-period.js';
export { budgetPeriods } from './documents/budget.document.js';
export { fallbackReasons } from './documents/model-route.document.js';
export type { FallbackReason, ModelRouteDocument, ModelRouteSpec } from './documents/model-route.document.js';
export type { PullDocument, PullSpec } from './documents/pull.document.js';
export { mostTicksMadeUpFor } from './documents/schedule.document.js';
export type { ScheduleDocument, ScheduleSpec } from './documents/schedule.document.js';
export {
  allSteps,
  decisionWaitMs,
  describedStepKinds,
  eventsFor,
  takenBy,
  fallbackErrorFields,
  failurePolicyOf,
  isForRequestsAlone,
  stepKinds,
  stepOrder,
  stepsOfFlow,
  stepsWithin,
  usualRequestType,
} from './documents/flow.document.js';
export type { FlowDocument, FlowSpec, FlowStep, OnRequest, StepKind, StepOrder, StepsWithin } from './documents/flow.document.js';
export type { NestedStep } from './documents/nested-steps.js';
export { longestRetryDelayMs, unorderedUpsert } from './documents/destination.document.js';
export type { DestinationDocument, DestinationKind, DestinationSpec, DestinationSpecOf } from './documents/destination.document.js';
export type { DeliveryIdempotency, Idempotency, IdempotencyClass } from './documents/idempotency.js';
export type { ConnectionDocument, ConnectionSpec } from './documents/connection.document.js';
export type { AuthKind, AuthOf, ConnectionAuth } from './documents/connection-auth.js';
export { builtInConnector, builtInSpec, connectorManifest } from './documents/connector.document.js';
export type { ConnectorDocument, ConnectorSpec } from './documents/connector.document.js';
export type { ErrorRule, ResponseMeaning } from './documents/connectors/error-rule.js';
export type { ConnectorOperation, OperationIdempotency } from './documents/connectors/operation.js';
export type { OpenApiSource } from './documents/connectors/openapi.js';
export type { WsdlSource } from './documents/connectors/wsdl.js';
export type { ListPaging } from './documents/connectors/paging.js';
export type { OperationRequest } from './documents/connectors/request.js';
export { templateParts } from './documents/connectors/template.js';
