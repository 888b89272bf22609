import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { EventRow, EventPage } from '../events/event.table.js';
import type { CustomerRow, CustomerPage } from '../customers/customer.table.js';
import type { RunRow, StepRow, ModelAttemptRow, RunPage } from '../runs/run.table.js';
import type { DeliveryRow, AttemptRow, DeliveryPage } from '../deliveries/delivery.table.js';
import type { DeadLetterRow, DeadLetterPage } from '../dead-letters/dead-letter.table.js';
import type { BulkOperationRow, BulkOperationPage } from '../bulk-operations/bulk-operation.table.js';
import type { DestinationRow } from '../destinations/destination.table.js';
import type { HoldRow } from '../dead-letters/hold.table.js';
import type { DocumentRow } from '../documents/document.service.js';
import type { ApiKeyRow } from '../api-keys/api-key.service.js';
import type { TimelineRow } from '../timeline/timeline.table.js';
import type { QueryContext } from '../graphql/context.js';
export type Maybe<T> = T | null;
export type InputMaybe<T> = Maybe<T>;
export type Omit<T, K extends keyof T> = Pick<T, Exclude<keyof T, K>>;
export type RequireFields<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };
/** All built-in and custom scalars, mapped to their actual values */
export type Scalars = {
  ID: { input: string; output: string; }
  String: { input: string; output: string; }
  Boolean: { input: boolean; output: boolean; }
  Int: { input: number; output: number; }
  Float: { input: number; output: number; }
  /** A moment, RFC 3339 with milliseconds in UTC. */
  DateTime: { input: Date; output: Date; }
  /** Any JSON value. */
  JSON: { input: unknown; output: unknown; }
};

export type CreateApiKeyInput = {
  /** 1 to 100 characters that tell people what it is for. */
  name: Scalars['String']['input'];
  scopes: Array<Scope>;
  /** Default: never. */
  expiresAt?: InputMaybe<Scalars['DateTime']['input']>;
};

export type CreateApiKeyResult = CreateApiKeySuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type CreateApiKeySuccess = {
  __typename?: 'CreateApiKeySuccess';
  apiKey: ApiKey;
  /** The whole key, `mr_…`. Shown once. */
  key: Scalars['String']['output'];
};

export type RevokeApiKeyInput = {
  id: Scalars['ID']['input'];
};

export type RevokeApiKeyResult = RevokeApiKeySuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type RevokeApiKeySuccess = {
  __typename?: 'RevokeApiKeySuccess';
  apiKey: ApiKey;
};

export type ApiKey = {
  __typename?: 'ApiKey';
  id: Scalars['ID']['output'];
  name: Scalars['String']['output'];
  scopes: Array<Scope>;
  createdAt: Scalars['DateTime']['output'];
  createdBy: Scalars['String']['output'];
  expiresAt: Maybe<Scalars['DateTime']['output']>;
  revokedAt: Maybe<Scalars['DateTime']['output']>;
};

export type BulkReplayInput = {
  filter: BulkReplayFilter;
  /** With `events`: only this flow; default: every flow that matches. A dead letter's flow is its own. */
  flow?: InputMaybe<Scalars['String']['input']>;
  /** Commands appended per second, 1 to 1000; how fast they are carried out is another matter. */
  ratePerSecond: Scalars['Int']['input'];
  /** Only count: nothing is ordered, and the key is not used up. */
  dryRun: Scalars['Boolean']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type BulkRedeliverInput = {
  filter: BulkRedeliverFilter;
  /** Commands appended per second, 1 to 1000; how fast they are carried out is another matter. */
  ratePerSecond: Scalars['Int']['input'];
  /** Only count: nothing is ordered, and the key is not used up. */
  dryRun: Scalars['Boolean']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type CancelBulkOperationInput = {
  id: Scalars['ID']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type BulkReplayFilter =
  /** These events, whatever became of them. */
  { events: EventFilter; deadLetters?: never; }
  |  /** Events with an open dead letter of kind RUN, each with the flow that was given up. */
  { events?: never; deadLetters: DeadLetterFilter; };

export type BulkRedeliverFilter =
  /** These deliveries; `state` must be given, because DELIVERED ones would be sent again. */
  { deliveries: DeliveryFilter; deadLetters?: never; }
  |  /** Deliveries with an open dead letter. */
  { deliveries?: never; deadLetters: DeadLetterFilter; };

export type BulkReplayResult = BulkReplaySuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type BulkRedeliverResult = BulkRedeliverSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type CancelBulkOperationResult = CancelBulkOperationSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type BulkReplaySuccess = {
  __typename?: 'BulkReplaySuccess';
  /** How many events the filter finds now, counted exactly up to 100 000. */
  matched: Count;
  /** The operation, which can be queried a moment later; null for a dry run. */
  operationId: Maybe<Scalars['ID']['output']>;
};

export type BulkRedeliverSuccess = {
  __typename?: 'BulkRedeliverSuccess';
  /** How many deliveries the filter finds now, counted exactly up to 100 000. */
  matched: Count;
  /** The operation, which can be queried a moment later; null for a dry run. */
  operationId: Maybe<Scalars['ID']['output']>;
};

/** The cancel is ordered; the operation hears of it within a second. */
export type CancelBulkOperationSuccess = {
  __typename?: 'CancelBulkOperationSuccess';
  commandId: Scalars['ID']['output'];
  /** As it was when the cancel was ordered. */
  operation: BulkOperation;
};

export type BulkOperationFilter = {
  kind?: InputMaybe<BulkOperationKind>;
  state?: InputMaybe<BulkOperationState>;
};

/** What is ordered for each item. */
export type BulkOperationKind =
  | 'replay'
  | 'redelivery';

export type BulkSelection =
  | 'events'
  | 'deliveries'
  | 'deadLetters';

export type BulkOperationState =
  /** Under way, or waiting for its turn. */
  | 'running'
  /** Everything is ordered. What became of each item stands at the item. */
  | 'completed'
  | 'cancelled'
  | 'failed';

/** Many replays or redeliveries that were asked for at once. */
export type BulkOperation = Node & {
  __typename?: 'BulkOperation';
  id: Scalars['ID']['output'];
  kind: BulkOperationKind;
  state: BulkOperationState;
  selection: BulkSelection;
  /** The conditions that its items meet. */
  filter: Scalars['JSON']['output'];
  flow: Maybe<Scalars['String']['output']>;
  ratePerSecond: Scalars['Int']['output'];
  /** How many items matched when it started; null until they are counted. */
  total: Maybe<Count>;
  /** Items whose command the log has. It may end below `total`: what no longer matches when its turn comes is left out. */
  done: Scalars['Int']['output'];
  /** Items whose command the log will never take. */
  failed: Scalars['Int']['output'];
  /** Who asked for it. */
  actor: Scalars['String']['output'];
  startedAt: Scalars['DateTime']['output'];
  finishedAt: Maybe<Scalars['DateTime']['output']>;
  /** Why it failed. */
  errorCode: Maybe<Scalars['String']['output']>;
  errorMessage: Maybe<Scalars['String']['output']>;
};

export type BulkOperationConnection = {
  __typename?: 'BulkOperationConnection';
  edges: Array<BulkOperationEdge>;
  nodes: Array<BulkOperation>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type BulkOperationEdge = {
  __typename?: 'BulkOperationEdge';
  cursor: Scalars['String']['output'];
  node: BulkOperation;
};

export type CustomerFilter = {
  /** The beginning of the customer's key. */
  keyPrefix?: InputMaybe<Scalars['String']['input']>;
};

export type CustomerOrder =
  /** The last heard of first. A customer moves while you page, so one may be missed; use KEY to see each exactly once. */
  | 'lastEvent'
  | 'key';

/** Whom events are about: the partition key within a tenant, as the partner knows it. */
export type Customer = Node & {
  __typename?: 'Customer';
  id: Scalars['ID']['output'];
  key: Scalars['String']['output'];
  firstEventAt: Scalars['DateTime']['output'];
  lastEventAt: Scalars['DateTime']['output'];
  /** What of this customer waits. */
  holds: Array<Hold>;
};

export type CustomerConnection = {
  __typename?: 'CustomerConnection';
  edges: Array<CustomerEdge>;
  nodes: Array<Customer>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type CustomerEdge = {
  __typename?: 'CustomerEdge';
  cursor: Scalars['String']['output'];
  node: Customer;
};

export type SettleDeadLetterInput = {
  id: Scalars['ID']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type SkipDeadLetterResult = SkipDeadLetterSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type RetryDeadLetterResult = RetryDeadLetterSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

/** It is ordered; watch the dead letter to see it resolved. */
export type SkipDeadLetterSuccess = {
  __typename?: 'SkipDeadLetterSuccess';
  commandId: Scalars['ID']['output'];
  deadLetter: DeadLetter;
};

/** It is ordered; watch the dead letter to see it resolved. */
export type RetryDeadLetterSuccess = {
  __typename?: 'RetryDeadLetterSuccess';
  commandId: Scalars['ID']['output'];
  deadLetter: DeadLetter;
};

export type DeadLetterFilter = {
  customer?: InputMaybe<Scalars['String']['input']>;
  kind?: InputMaybe<DeadLetterKind>;
  code?: InputMaybe<Scalars['String']['input']>;
  /** False: those that still wait for an operator. */
  resolved?: InputMaybe<Scalars['Boolean']['input']>;
  /** Of runs of this flow, and of their deliveries. */
  flow?: InputMaybe<Scalars['String']['input']>;
  /** Of deliveries to this destination. */
  destination?: InputMaybe<Scalars['String']['input']>;
  createdFrom?: InputMaybe<Scalars['DateTime']['input']>;
  createdBefore?: InputMaybe<Scalars['DateTime']['input']>;
};

export type DeadLetterKind =
  /** A record of the log that nobody could process. */
  | 'record'
  | 'run'
  | 'delivery';

/** Something that was given up, with its reason. */
export type DeadLetter = Node & {
  __typename?: 'DeadLetter';
  id: Scalars['ID']['output'];
  kind: DeadLetterKind;
  customer: Scalars['String']['output'];
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  /** Where the record stands in the log, for kind RECORD: `topic/partition/offset`. */
  position: Maybe<Scalars['String']['output']>;
  createdAt: Scalars['DateTime']['output'];
  /** When it was put right, or given up for good. */
  resolvedAt: Maybe<Scalars['DateTime']['output']>;
  /** Null where it is not resolved. */
  resolution: Maybe<DeadLetterResolution>;
  /** The customers' records that wait for it, one hold per consumer group. */
  holds: Array<Hold>;
  event: Maybe<Event>;
  run: Maybe<Run>;
  delivery: Maybe<Delivery>;
};

export type DeadLetterResolution =
  /** A later generation of the run completed. */
  | 'replayed'
  /** The delivery arrived after all. */
  | 'redelivered'
  /** The record was handled after all. */
  | 'retried'
  /** An operator gave it up. */
  | 'skipped';

/** Records of one customer that wait, in the order of the log, until something that failed before them is settled. */
export type Hold = {
  __typename?: 'Hold';
  /** The consumer group: `flows` for runs, `deliveries` for what follows from decisions. */
  group: Scalars['String']['output'];
  topic: Scalars['String']['output'];
  customer: Scalars['String']['output'];
  reason: HoldReason;
  /** What they wait for; null for OVERFLOW. */
  deadLetter: Maybe<DeadLetter>;
  retryRequestedAt: Maybe<Scalars['DateTime']['output']>;
  createdAt: Scalars['DateTime']['output'];
  /** With the one that failed. */
  heldRecords: Scalars['Int']['output'];
};

export type HoldReason =
  /** A record, or a run of it, was given up. */
  | 'poison'
  /** There are more records than memory has room for. It ends by itself. */
  | 'overflow';

export type DeadLetterConnection = {
  __typename?: 'DeadLetterConnection';
  edges: Array<DeadLetterEdge>;
  nodes: Array<DeadLetter>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type DeadLetterEdge = {
  __typename?: 'DeadLetterEdge';
  cursor: Scalars['String']['output'];
  node: DeadLetter;
};

export type RedeliverInput = {
  deliveryId: Scalars['ID']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type RedeliverResult = RedeliverSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

/** The redelivery is ordered; watch the delivery, or subscribe, to see how it goes. */
export type RedeliverSuccess = {
  __typename?: 'RedeliverSuccess';
  commandId: Scalars['ID']['output'];
  delivery: Delivery;
};

export type DeliveryFilter = {
  customer?: InputMaybe<Scalars['String']['input']>;
  destination?: InputMaybe<Scalars['String']['input']>;
  state?: InputMaybe<DeliveryState>;
  flow?: InputMaybe<Scalars['String']['input']>;
  createdFrom?: InputMaybe<Scalars['DateTime']['input']>;
  createdBefore?: InputMaybe<Scalars['DateTime']['input']>;
};

export type DeliveryState =
  /** Under way: an attempt is due, running or will be repeated. */
  | 'pending'
  | 'delivered'
  /** Given up; it waits for a redelivery, or to be skipped. */
  | 'parked'
  /** Given up for good by an operator. */
  | 'skipped';

/** One decision to one destination. */
export type Delivery = Node & {
  __typename?: 'Delivery';
  /** Also the `webhook-id` and `Idempotency-Key` that the destination sees. */
  id: Scalars['ID']['output'];
  destination: Scalars['String']['output'];
  state: DeliveryState;
  flow: Scalars['String']['output'];
  /** The `deliver` step of the flow. */
  step: Scalars['String']['output'];
  generation: Scalars['Int']['output'];
  /** What is sent. */
  payload: Maybe<Scalars['JSON']['output']>;
  attemptCount: Scalars['Int']['output'];
  nextAttemptAt: Maybe<Scalars['DateTime']['output']>;
  /** Why the last attempt failed. */
  errorCode: Maybe<Scalars['String']['output']>;
  errorMessage: Maybe<Scalars['String']['output']>;
  createdAt: Scalars['DateTime']['output'];
  settledAt: Maybe<Scalars['DateTime']['output']>;
  event: Event;
  run: Run;
  attempts: Array<Attempt>;
};

export type AttemptOutcome =
  | 'succeeded'
  | 'failed';

/** One request to the destination. */
export type Attempt = {
  __typename?: 'Attempt';
  /** Counts from 1. */
  number: Scalars['Int']['output'];
  outcome: AttemptOutcome;
  /** The HTTP status; null where none came. */
  status: Maybe<Scalars['Int']['output']>;
  errorCode: Maybe<Scalars['String']['output']>;
  errorMessage: Maybe<Scalars['String']['output']>;
  responseExcerpt: Maybe<Scalars['String']['output']>;
  startedAt: Scalars['DateTime']['output'];
  finishedAt: Scalars['DateTime']['output'];
};

export type DeliveryConnection = {
  __typename?: 'DeliveryConnection';
  edges: Array<DeliveryEdge>;
  nodes: Array<Delivery>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type DeliveryEdge = {
  __typename?: 'DeliveryEdge';
  cursor: Scalars['String']['output'];
  node: Delivery;
};

export type EnableDestinationInput = {
  name: Scalars['String']['input'];
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type EnableDestinationResult = EnableDestinationSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

/** It is ordered; watch `destinations` to see it happen. */
export type EnableDestinationSuccess = {
  __typename?: 'EnableDestinationSuccess';
  commandId: Scalars['ID']['output'];
};

export type DestinationState =
  | 'active'
  /** It failed too often: nothing is sent until `until`, then a few deliveries find out whether it is back. */
  | 'open'
  /** It asked for a pause until `until`. */
  | 'limited'
  /** It answered 410: what is due is parked, until it is enabled or a new version of its document is applied. */
  | 'disabled';

/** A system that decisions are delivered to. */
export type Destination = {
  __typename?: 'Destination';
  name: Scalars['String']['output'];
  state: DestinationState;
  /** Since when it is in this state; null where it is active. */
  since: Maybe<Scalars['DateTime']['output']>;
  until: Maybe<Scalars['DateTime']['output']>;
  /** The code of the failure that led to the state. */
  reason: Maybe<Scalars['String']['output']>;
};

/** Spelled as in documents. */
export type DocumentKind =
  | 'Tenant'
  | 'Source'
  | 'Flow'
  | 'Destination';

export type ApplyDocumentsInput = {
  /** Up to 200 whole documents, as in a file: `apiVersion`, `kind`, `metadata`, `spec`. */
  documents: Array<Scalars['JSON']['input']>;
  dryRun: Scalars['Boolean']['input'];
};

export type ApplyDocumentsResult = ApplyDocumentsSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type ApplyDocumentsSuccess = {
  __typename?: 'ApplyDocumentsSuccess';
  /** One per document, in the order given. */
  changes: Array<DocumentChange>;
  dryRun: Scalars['Boolean']['output'];
};

export type RemoveDocumentInput = {
  kind: DocumentKind;
  name: Scalars['String']['input'];
};

export type RemoveDocumentResult = RemoveDocumentSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

export type RemoveDocumentSuccess = {
  __typename?: 'RemoveDocumentSuccess';
  change: DocumentChange;
};

export type ChangeKind =
  | 'created'
  | 'changed'
  | 'unchanged'
  | 'removed';

export type DocumentChange = {
  __typename?: 'DocumentChange';
  kind: DocumentKind;
  name: Scalars['String']['output'];
  change: ChangeKind;
  /** The version after it; for a dry run, the version it would get. */
  version: Scalars['Int']['output'];
  /** Field by field; empty where nothing changed. Secrets appear as fingerprints. */
  differences: Array<FieldDifference>;
};

export type FieldDifference = {
  __typename?: 'FieldDifference';
  /** Such as `spec.steps.0.infer.model`. */
  path: Scalars['String']['output'];
  /** Null where the field is new. */
  before: Maybe<Scalars['JSON']['output']>;
  /** Null where the field is gone. */
  after: Maybe<Scalars['JSON']['output']>;
};

export type Document = {
  __typename?: 'Document';
  kind: DocumentKind;
  name: Scalars['String']['output'];
  version: Scalars['Int']['output'];
  createdAt: Scalars['DateTime']['output'];
  createdBy: Scalars['String']['output'];
  /** The whole document; it can be applied again. Its secrets are encrypted. */
  content: Scalars['JSON']['output'];
};

export type EventFilter = {
  customer?: InputMaybe<Scalars['String']['input']>;
  /** Names of sources, up to 20. */
  sources?: InputMaybe<Array<Scalars['String']['input']>>;
  /** A type, or a prefix with `*` after it: `invoice.paid`, `invoice.*`. */
  type?: InputMaybe<Scalars['String']['input']>;
  states?: InputMaybe<Array<EventState>>;
  receivedFrom?: InputMaybe<Scalars['DateTime']['input']>;
  receivedBefore?: InputMaybe<Scalars['DateTime']['input']>;
};

/** How far an event got. Where a flow ran more than once, its newest generation counts. */
export type EventState =
  /** Stored; no flow has taken it up. */
  | 'recorded'
  /** A flow is at work on it. */
  | 'running'
  /** Decided; a delivery is still under way. */
  | 'delivering'
  /** Every flow decided and everything is delivered. */
  | 'completed'
  /** A run or a delivery was given up and waits for an operator. */
  | 'parked';

/** Something a partner told Millrace. */
export type Event = Node & {
  __typename?: 'Event';
  id: Scalars['ID']['output'];
  type: Scalars['String']['output'];
  /** The name of the source it came through. */
  source: Scalars['String']['output'];
  customer: Customer;
  lane: Lane;
  /** The partner's own id, where it sends one. */
  providerEventId: Maybe<Scalars['String']['output']>;
  state: EventState;
  /** The body as flows see it: JSON as its value, a form as its fields, text as text, null where it is none of these. */
  data: Maybe<Scalars['JSON']['output']>;
  contentType: Scalars['String']['output'];
  /** When it happened, by the partner's word. */
  occurredAt: Scalars['DateTime']['output'];
  receivedAt: Scalars['DateTime']['output'];
  /** When it could first be queried. */
  recordedAt: Scalars['DateTime']['output'];
  traceId: Maybe<Scalars['String']['output']>;
  /** Everything that happened to it, in order. */
  timeline: Array<TimelineEntry>;
  /** The newest 100. */
  runs: Array<Run>;
  /** The decisions of its runs, the newest 100. */
  decisions: Array<Decision>;
  /** The newest 100. */
  deliveries: Array<Delivery>;
  /** The newest 100. */
  deadLetters: Array<DeadLetter>;
};

export type EventConnection = {
  __typename?: 'EventConnection';
  edges: Array<EventEdge>;
  nodes: Array<Event>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type EventEdge = {
  __typename?: 'EventEdge';
  cursor: Scalars['String']['output'];
  node: Event;
};

export type Scope =
  | 'ingest'
  | 'read'
  | 'operate'
  | 'review'
  | 'admin';

/** The priority class of an event, chosen at the door. */
export type Lane =
  | 'high'
  | 'normal'
  | 'low';

/** What happens next to what failed. */
export type Outcome =
  | 'reject'
  | 'retry'
  | 'review'
  | 'deadLetter';

export type Query = {
  __typename?: 'Query';
  /** The tenant's keys, the newest first, revoked ones too; never their secrets. The newest 500. */
  apiKeys: Array<ApiKey>;
  bulkOperation: Maybe<BulkOperation>;
  /** Bulk operations, the last started first. */
  bulkOperations: BulkOperationConnection;
  customer: Maybe<Customer>;
  customers: CustomerConnection;
  deadLetter: Maybe<DeadLetter>;
  /** What was given up, the last first. */
  deadLetters: DeadLetterConnection;
  delivery: Maybe<Delivery>;
  /** Deliveries, the last created first. */
  deliveries: DeliveryConnection;
  /** The destinations of the tenant, by name, and how they are doing. */
  destinations: Array<Destination>;
  /** The current documents of the tenant, by kind and name. */
  documents: Array<Document>;
  document: Maybe<Document>;
  /** An event by its id. */
  event: Maybe<Event>;
  /** An event by what its partner calls it. */
  eventFromSource: Maybe<Event>;
  /** Events, the last received first. */
  events: EventConnection;
  /** Anything with an id: an event, run, delivery, dead letter, customer or bulk operation of this tenant. */
  node: Maybe<Node>;
  /** The same for up to 100 ids, in their order; null where there is nothing. */
  nodes: Array<Maybe<Node>>;
  run: Maybe<Run>;
  /** Runs, the last started first. */
  runs: RunConnection;
};


export type QueryBulkOperationArgs = {
  id: Scalars['ID']['input'];
};


export type QueryBulkOperationsArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<BulkOperationFilter>;
};


export type QueryCustomerArgs = {
  key: Scalars['String']['input'];
};


export type QueryCustomersArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<CustomerFilter>;
  orderBy: CustomerOrder;
};


export type QueryDeadLetterArgs = {
  id: Scalars['ID']['input'];
};


export type QueryDeadLettersArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<DeadLetterFilter>;
};


export type QueryDeliveryArgs = {
  id: Scalars['ID']['input'];
};


export type QueryDeliveriesArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<DeliveryFilter>;
};


export type QueryDocumentsArgs = {
  kind?: InputMaybe<DocumentKind>;
};


export type QueryDocumentArgs = {
  kind: DocumentKind;
  name: Scalars['String']['input'];
};


export type QueryEventArgs = {
  id: Scalars['ID']['input'];
};


export type QueryEventFromSourceArgs = {
  source: Scalars['String']['input'];
  providerEventId: Scalars['String']['input'];
};


export type QueryEventsArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<EventFilter>;
};


export type QueryNodeArgs = {
  id: Scalars['ID']['input'];
};


export type QueryNodesArgs = {
  ids: Array<Scalars['ID']['input']>;
};


export type QueryRunArgs = {
  id: Scalars['ID']['input'];
};


export type QueryRunsArgs = {
  first?: InputMaybe<Scalars['Int']['input']>;
  after?: InputMaybe<Scalars['String']['input']>;
  last?: InputMaybe<Scalars['Int']['input']>;
  before?: InputMaybe<Scalars['String']['input']>;
  filter?: InputMaybe<RunFilter>;
};

export type Mutation = {
  __typename?: 'Mutation';
  /** Makes a key of this tenant. Its secret is in this answer and nowhere else. */
  createApiKey: CreateApiKeyResult;
  /** Ends a key: every process refuses it as soon as it has heard, at once as a rule and within 30 seconds at most. Revoking it again changes nothing. */
  revokeApiKey: RevokeApiKeyResult;
  /**
   * Replays everything that the filter finds and that is there when the operation starts, each customer's oldest first, at a rate. The same
   * `idempotencyKey` asks for the same operation however often it is sent; with another input it is refused.
   */
  bulkReplay: BulkReplayResult;
  /** Redelivers everything that the filter finds, as `bulkReplay` replays it: at once, with effect keys unchanged and fresh retry budgets. */
  bulkRedeliver: BulkRedeliverResult;
  /** Orders nothing more; what was ordered goes on. An operation that is over stays what it is. */
  cancelBulkOperation: CancelBulkOperationResult;
  /**
   * Gives a dead letter up for good: the record, run or delivery is not tried again, and what waits behind it goes on. The same `idempotencyKey` asks
   * for the same however often it is sent.
   */
  skipDeadLetter: SkipDeadLetterResult;
  /**
   * Tries what failed again: a record is handled again, a run is replayed as a new generation, a delivery is redelivered. When that succeeds the dead
   * letter is resolved, and what waits behind it goes on in order.
   */
  retryDeadLetter: RetryDeadLetterResult;
  /**
   * Tries a delivery again at once, with its effect key unchanged and a fresh retry budget. The same `idempotencyKey` asks for the same redelivery
   * however often it is sent; with another input it is refused.
   */
  redeliver: RedeliverResult;
  /**
   * Delivers to a destination again that answered 410, and forgets its earlier failures. What was parked meanwhile is redelivered on its own. The
   * same `idempotencyKey` asks for the same thing however often it is sent.
   */
  enableDestination: EnableDestinationResult;
  /**
   * Makes the system what the documents say: all of them or, where one is not acceptable, none. With `dryRun` nothing is changed, and the answer is
   * what would be.
   */
  applyDocuments: ApplyDocumentsResult;
  /** Takes a document out of use; its versions stay for the runs that used them. */
  removeDocument: RemoveDocumentResult;
  /**
   * Runs the flows again on up to 100 events, each as a new generation; the earlier decisions stay. All ids must exist, else nothing is replayed.
   * The same `idempotencyKey` asks for the same replay however often it is sent; with another input it is refused.
   */
  replayEvents: ReplayEventsResult;
};


export type MutationCreateApiKeyArgs = {
  input: CreateApiKeyInput;
};


export type MutationRevokeApiKeyArgs = {
  input: RevokeApiKeyInput;
};


export type MutationBulkReplayArgs = {
  input: BulkReplayInput;
};


export type MutationBulkRedeliverArgs = {
  input: BulkRedeliverInput;
};


export type MutationCancelBulkOperationArgs = {
  input: CancelBulkOperationInput;
};


export type MutationSkipDeadLetterArgs = {
  input: SettleDeadLetterInput;
};


export type MutationRetryDeadLetterArgs = {
  input: SettleDeadLetterInput;
};


export type MutationRedeliverArgs = {
  input: RedeliverInput;
};


export type MutationEnableDestinationArgs = {
  input: EnableDestinationInput;
};


export type MutationApplyDocumentsArgs = {
  input: ApplyDocumentsInput;
};


export type MutationRemoveDocumentArgs = {
  input: RemoveDocumentInput;
};


export type MutationReplayEventsArgs = {
  input: ReplayEventsInput;
};

export type Subscription = {
  __typename?: 'Subscription';
  /** What happens to events, as it happens. Over `graphql-transport-ws`, at this same path. */
  eventChanged: EventChange;
};


export type SubscriptionEventChangedArgs = {
  filter?: InputMaybe<EventChangeFilter>;
};

export type Node = {
  id: Scalars['ID']['output'];
};

export type PageInfo = {
  __typename?: 'PageInfo';
  hasNextPage: Scalars['Boolean']['output'];
  /** True also where `after` was given: the row it names stands before this page. */
  hasPreviousPage: Scalars['Boolean']['output'];
  startCursor: Maybe<Scalars['String']['output']>;
  endCursor: Maybe<Scalars['String']['output']>;
};

/** How many rows the filter finds in all; counted only where it is selected. */
export type Count = {
  __typename?: 'Count';
  value: Scalars['Int']['output'];
  /** False where counting stopped: there are at least `value` rows. */
  exact: Scalars['Boolean']['output'];
};

/** An expected failure of a mutation. `code` is the same in problem+json, in the log and on dead letters. */
export type UserError = {
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  /** Which argument or field of the input is at fault. */
  path: Maybe<Array<Scalars['String']['output']>>;
  outcome: Outcome;
};

/** The input, or something it names, is not acceptable. */
export type ValidationError = UserError & {
  __typename?: 'ValidationError';
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  path: Maybe<Array<Scalars['String']['output']>>;
  outcome: Outcome;
  /** Everything that is wrong, not only the first. */
  violations: Array<Violation>;
};

export type Violation = {
  __typename?: 'Violation';
  path: Array<Scalars['String']['output']>;
  message: Scalars['String']['output'];
};

/** What the input names does not exist in this tenant. */
export type NotFoundError = UserError & {
  __typename?: 'NotFoundError';
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  path: Maybe<Array<Scalars['String']['output']>>;
  outcome: Outcome;
  /** The ids or names that were not found. */
  missing: Array<Scalars['String']['output']>;
};

/** The key lacks a scope. */
export type ForbiddenError = UserError & {
  __typename?: 'ForbiddenError';
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  path: Maybe<Array<Scalars['String']['output']>>;
  outcome: Outcome;
  requiredScope: Scope;
};

/** Something Millrace needs is away; the same request may be sent again. */
export type UnavailableError = UserError & {
  __typename?: 'UnavailableError';
  code: Scalars['String']['output'];
  message: Scalars['String']['output'];
  path: Maybe<Array<Scalars['String']['output']>>;
  outcome: Outcome;
  retryAfterMs: Scalars['Int']['output'];
};

export type ReplayEventsInput = {
  ids: Array<Scalars['ID']['input']>;
  /** Only this flow; default: every flow that matches. */
  flow?: InputMaybe<Scalars['String']['input']>;
  /** 1 to 128 characters of your choice. */
  idempotencyKey: Scalars['String']['input'];
};

export type ReplayEventsResult = ReplayEventsSuccess | ValidationError | NotFoundError | ForbiddenError | UnavailableError;

/** The replays are ordered; the events' timelines show how they go. */
export type ReplayEventsSuccess = {
  __typename?: 'ReplayEventsSuccess';
  /** One command per event, in the order of the ids. */
  commandIds: Array<Scalars['ID']['output']>;
  events: Array<Event>;
};

export type RunFilter = {
  customer?: InputMaybe<Scalars['String']['input']>;
  flow?: InputMaybe<Scalars['String']['input']>;
  state?: InputMaybe<RunState>;
};

export type RunState =
  | 'running'
  | 'completed'
  | 'failed';

/** One flow on one event, one generation. */
export type Run = Node & {
  __typename?: 'Run';
  id: Scalars['ID']['output'];
  flow: Scalars['String']['output'];
  /** The version it started with and keeps. */
  flowVersion: Scalars['Int']['output'];
  /** 0 for the first run of a flow on an event; each replay adds one. */
  generation: Scalars['Int']['output'];
  state: RunState;
  event: Event;
  /** The validated output; null until the run completed. */
  decision: Maybe<Scalars['JSON']['output']>;
  /** Why it failed. */
  errorCode: Maybe<Scalars['String']['output']>;
  errorMessage: Maybe<Scalars['String']['output']>;
  startedAt: Scalars['DateTime']['output'];
  finishedAt: Maybe<Scalars['DateTime']['output']>;
  traceId: Maybe<Scalars['String']['output']>;
  /** Its finished steps, in the order they ran. */
  steps: Array<Step>;
  /** Every call of a model, those that failed too. */
  modelAttempts: Array<ModelAttempt>;
  deliveries: Array<Delivery>;
};

export type StepKind =
  | 'infer'
  | 'validate'
  | 'map'
  | 'deliver';

export type StepState =
  | 'succeeded'
  | 'skipped';

export type Step = {
  __typename?: 'Step';
  /** The step's name in its flow. */
  id: Scalars['ID']['output'];
  kind: StepKind;
  state: StepState;
  /** The first result, which wins for ever; null where the step was skipped. */
  output: Maybe<Scalars['JSON']['output']>;
  /** The model that was asked, on an `infer` step. */
  model: Maybe<Scalars['String']['output']>;
  /** The model that says it answered. */
  responseModel: Maybe<Scalars['String']['output']>;
  usage: Maybe<TokenUsage>;
  startedAt: Scalars['DateTime']['output'];
  finishedAt: Scalars['DateTime']['output'];
};

export type TokenUsage = {
  __typename?: 'TokenUsage';
  inputTokens: Scalars['Int']['output'];
  outputTokens: Scalars['Int']['output'];
};

/** One call of a model. */
export type ModelAttempt = {
  __typename?: 'ModelAttempt';
  step: Scalars['String']['output'];
  /** Counts from 1 within the step. */
  number: Scalars['Int']['output'];
  model: Scalars['String']['output'];
  responseModel: Maybe<Scalars['String']['output']>;
  /** The id of the call at the provider. */
  providerRequestId: Maybe<Scalars['String']['output']>;
  outcome: Scalars['String']['output'];
  errorCode: Maybe<Scalars['String']['output']>;
  errorMessage: Maybe<Scalars['String']['output']>;
  usage: Maybe<TokenUsage>;
  startedAt: Scalars['DateTime']['output'];
  finishedAt: Scalars['DateTime']['output'];
};

/** The validated output of a completed run. */
export type Decision = {
  __typename?: 'Decision';
  flow: Scalars['String']['output'];
  flowVersion: Scalars['Int']['output'];
  generation: Scalars['Int']['output'];
  value: Maybe<Scalars['JSON']['output']>;
  decidedAt: Scalars['DateTime']['output'];
  run: Run;
};

export type RunConnection = {
  __typename?: 'RunConnection';
  edges: Array<RunEdge>;
  nodes: Array<Run>;
  pageInfo: PageInfo;
  totalCount: Count;
};

export type RunEdge = {
  __typename?: 'RunEdge';
  cursor: Scalars['String']['output'];
  node: Run;
};

export type EventChangeFilter = {
  eventId?: InputMaybe<Scalars['ID']['input']>;
  customer?: InputMaybe<Scalars['String']['input']>;
  source?: InputMaybe<Scalars['String']['input']>;
  /** A type, or a prefix with `*` after it. */
  type?: InputMaybe<Scalars['String']['input']>;
};

export type Change =
  | 'recorded'
  /** A run completed. */
  | 'decided'
  /** A run was given up. */
  | 'failed'
  | 'delivered'
  /** An attempt of a delivery failed; another follows. */
  | 'retrying'
  /** A delivery was given up. */
  | 'parked';

export type EventChange = {
  __typename?: 'EventChange';
  change: Change;
  at: Scalars['DateTime']['output'];
  /** The failure's code, on FAILED, RETRYING and PARKED. */
  code: Maybe<Scalars['String']['output']>;
  runId: Maybe<Scalars['ID']['output']>;
  deliveryId: Maybe<Scalars['ID']['output']>;
  /** The event as it is when this is sent. */
  event: Event;
};

export type TimelineKind =
  | 'received'
  | 'recorded'
  | 'runStarted'
  | 'modelAttempt'
  | 'stepFinished'
  | 'runCompleted'
  | 'runFailed'
  | 'deliveryScheduled'
  | 'deliveryAttempt'
  | 'parked'
  | 'replayRequested'
  | 'redeliveryRequested';

/** One thing that happened to an event. Ids say what it happened to. */
export type TimelineEntry = {
  __typename?: 'TimelineEntry';
  at: Scalars['DateTime']['output'];
  kind: TimelineKind;
  /** One line for people. */
  title: Scalars['String']['output'];
  /** The failure's code; null where nothing failed. */
  code: Maybe<Scalars['String']['output']>;
  runId: Maybe<Scalars['ID']['output']>;
  step: Maybe<Scalars['String']['output']>;
  deliveryId: Maybe<Scalars['ID']['output']>;
  deadLetterId: Maybe<Scalars['ID']['output']>;
  /** The number of the attempt, on attempts. */
  attempt: Maybe<Scalars['Int']['output']>;
  /** Who asked for it, on requests. */
  actor: Maybe<Scalars['String']['output']>;
};



export type ResolverTypeWrapper<T> = Promise<T> | T;

export type Resolver<TResult, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = ResolverFn<TResult, TParent, TContext, TArgs>;

export type ResolverFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => Promise<TResult> | TResult;

export type SubscriptionSubscribeFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => AsyncIterable<TResult> | Promise<AsyncIterable<TResult>>;

export type SubscriptionResolveFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;

export interface SubscriptionSubscriberObject<TResult, TKey extends string, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<{ [key in TKey]: TResult }, TParent, TContext, TArgs>;
  resolve?: SubscriptionResolveFn<TResult, { [key in TKey]: TResult }, TContext, TArgs>;
}

export interface SubscriptionResolverObject<TResult, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<any, TParent, TContext, TArgs>;
  resolve: SubscriptionResolveFn<TResult, any, TContext, TArgs>;
}

export type SubscriptionObject<TResult, TKey extends string, TParent, TContext, TArgs> =
  | SubscriptionSubscriberObject<TResult, TKey, TParent, TContext, TArgs>
  | SubscriptionResolverObject<TResult, TParent, TContext, TArgs>;

export type SubscriptionResolver<TResult, TKey extends string, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> =
  | ((...args: any[]) => SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>)
  | SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>;

export type TypeResolveFn<TTypes, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (
  parent: TParent,
  context: TContext,
  info: GraphQLResolveInfo
) => Maybe<TTypes> | Promise<Maybe<TTypes>>;

export type IsTypeOfResolverFn<T = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (obj: T, context: TContext, info: GraphQLResolveInfo) => boolean | Promise<boolean>;

export type NextResolverFn<T> = () => Promise<T>;

export type DirectiveResolverFn<TResult = Record<PropertyKey, never>, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = (
  next: NextResolverFn<TResult>,
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;



/** Mapping of union types */
export type ResolversUnionTypes<_RefType extends Record<string, unknown>> = {
  CreateApiKeyResult:
    | ( Omit<CreateApiKeySuccess, 'apiKey'> & { apiKey: _RefType['ApiKey'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  RevokeApiKeyResult:
    | ( Omit<RevokeApiKeySuccess, 'apiKey'> & { apiKey: _RefType['ApiKey'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  BulkReplayResult:
    | ( BulkReplaySuccess )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  BulkRedeliverResult:
    | ( BulkRedeliverSuccess )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  CancelBulkOperationResult:
    | ( Omit<CancelBulkOperationSuccess, 'operation'> & { operation: _RefType['BulkOperation'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  SkipDeadLetterResult:
    | ( Omit<SkipDeadLetterSuccess, 'deadLetter'> & { deadLetter: _RefType['DeadLetter'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  RetryDeadLetterResult:
    | ( Omit<RetryDeadLetterSuccess, 'deadLetter'> & { deadLetter: _RefType['DeadLetter'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  RedeliverResult:
    | ( Omit<RedeliverSuccess, 'delivery'> & { delivery: _RefType['Delivery'] } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  EnableDestinationResult:
    | ( EnableDestinationSuccess )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  ApplyDocumentsResult:
    | ( ApplyDocumentsSuccess )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  RemoveDocumentResult:
    | ( RemoveDocumentSuccess )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
  ReplayEventsResult:
    | ( Omit<ReplayEventsSuccess, 'events'> & { events: Array<_RefType['Event']> } )
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
};

/** Mapping of interface types */
export type ResolversInterfaceTypes<_RefType extends Record<string, unknown>> = {
  Node:
    | ( BulkOperationRow )
    | ( CustomerRow )
    | ( DeadLetterRow )
    | ( DeliveryRow )
    | ( EventRow )
    | ( RunRow )
  ;
  UserError:
    | ( ValidationError )
    | ( NotFoundError )
    | ( ForbiddenError )
    | ( UnavailableError )
  ;
};

/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  CreateApiKeyInput: CreateApiKeyInput;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  CreateApiKeyResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['CreateApiKeyResult']>;
  CreateApiKeySuccess: ResolverTypeWrapper<Omit<CreateApiKeySuccess, 'apiKey'> & { apiKey: ResolversTypes['ApiKey'] }>;
  RevokeApiKeyInput: RevokeApiKeyInput;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  RevokeApiKeyResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['RevokeApiKeyResult']>;
  RevokeApiKeySuccess: ResolverTypeWrapper<Omit<RevokeApiKeySuccess, 'apiKey'> & { apiKey: ResolversTypes['ApiKey'] }>;
  ApiKey: ResolverTypeWrapper<ApiKeyRow>;
  BulkReplayInput: BulkReplayInput;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
  BulkRedeliverInput: BulkRedeliverInput;
  CancelBulkOperationInput: CancelBulkOperationInput;
  BulkReplayFilter: BulkReplayFilter;
  BulkRedeliverFilter: BulkRedeliverFilter;
  BulkReplayResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['BulkReplayResult']>;
  BulkRedeliverResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['BulkRedeliverResult']>;
  CancelBulkOperationResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['CancelBulkOperationResult']>;
  BulkReplaySuccess: ResolverTypeWrapper<BulkReplaySuccess>;
  BulkRedeliverSuccess: ResolverTypeWrapper<BulkRedeliverSuccess>;
  CancelBulkOperationSuccess: ResolverTypeWrapper<Omit<CancelBulkOperationSuccess, 'operation'> & { operation: ResolversTypes['BulkOperation'] }>;
  BulkOperationFilter: BulkOperationFilter;
  BulkOperationKind: BulkOperationKind;
  BulkSelection: BulkSelection;
  BulkOperationState: BulkOperationState;
  BulkOperation: ResolverTypeWrapper<BulkOperationRow>;
  BulkOperationConnection: ResolverTypeWrapper<BulkOperationPage>;
  BulkOperationEdge: ResolverTypeWrapper<Omit<BulkOperationEdge, 'node'> & { node: ResolversTypes['BulkOperation'] }>;
  CustomerFilter: CustomerFilter;
  CustomerOrder: CustomerOrder;
  Customer: ResolverTypeWrapper<CustomerRow>;
  CustomerConnection: ResolverTypeWrapper<CustomerPage>;
  CustomerEdge: ResolverTypeWrapper<Omit<CustomerEdge, 'node'> & { node: ResolversTypes['Customer'] }>;
  SettleDeadLetterInput: SettleDeadLetterInput;
  SkipDeadLetterResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['SkipDeadLetterResult']>;
  RetryDeadLetterResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['RetryDeadLetterResult']>;
  SkipDeadLetterSuccess: ResolverTypeWrapper<Omit<SkipDeadLetterSuccess, 'deadLetter'> & { deadLetter: ResolversTypes['DeadLetter'] }>;
  RetryDeadLetterSuccess: ResolverTypeWrapper<Omit<RetryDeadLetterSuccess, 'deadLetter'> & { deadLetter: ResolversTypes['DeadLetter'] }>;
  DeadLetterFilter: DeadLetterFilter;
  DeadLetterKind: DeadLetterKind;
  DeadLetter: ResolverTypeWrapper<DeadLetterRow>;
  DeadLetterResolution: DeadLetterResolution;
  Hold: ResolverTypeWrapper<HoldRow>;
  HoldReason: HoldReason;
  DeadLetterConnection: ResolverTypeWrapper<DeadLetterPage>;
  DeadLetterEdge: ResolverTypeWrapper<Omit<DeadLetterEdge, 'node'> & { node: ResolversTypes['DeadLetter'] }>;
  RedeliverInput: RedeliverInput;
  RedeliverResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['RedeliverResult']>;
  RedeliverSuccess: ResolverTypeWrapper<Omit<RedeliverSuccess, 'delivery'> & { delivery: ResolversTypes['Delivery'] }>;
  DeliveryFilter: DeliveryFilter;
  DeliveryState: DeliveryState;
  Delivery: ResolverTypeWrapper<DeliveryRow>;
  AttemptOutcome: AttemptOutcome;
  Attempt: ResolverTypeWrapper<AttemptRow>;
  DeliveryConnection: ResolverTypeWrapper<DeliveryPage>;
  DeliveryEdge: ResolverTypeWrapper<Omit<DeliveryEdge, 'node'> & { node: ResolversTypes['Delivery'] }>;
  EnableDestinationInput: EnableDestinationInput;
  EnableDestinationResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['EnableDestinationResult']>;
  EnableDestinationSuccess: ResolverTypeWrapper<EnableDestinationSuccess>;
  DestinationState: DestinationState;
  Destination: ResolverTypeWrapper<DestinationRow>;
  DocumentKind: DocumentKind;
  ApplyDocumentsInput: ApplyDocumentsInput;
  ApplyDocumentsResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['ApplyDocumentsResult']>;
  ApplyDocumentsSuccess: ResolverTypeWrapper<ApplyDocumentsSuccess>;
  RemoveDocumentInput: RemoveDocumentInput;
  RemoveDocumentResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['RemoveDocumentResult']>;
  RemoveDocumentSuccess: ResolverTypeWrapper<RemoveDocumentSuccess>;
  ChangeKind: ChangeKind;
  DocumentChange: ResolverTypeWrapper<DocumentChange>;
  FieldDifference: ResolverTypeWrapper<FieldDifference>;
  Document: ResolverTypeWrapper<DocumentRow>;
  EventFilter: EventFilter;
  EventState: EventState;
  Event: ResolverTypeWrapper<EventRow>;
  EventConnection: ResolverTypeWrapper<EventPage>;
  EventEdge: ResolverTypeWrapper<Omit<EventEdge, 'node'> & { node: ResolversTypes['Event'] }>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  JSON: ResolverTypeWrapper<Scalars['JSON']['output']>;
  Scope: Scope;
  Lane: Lane;
  Outcome: Outcome;
  Query: ResolverTypeWrapper<Record<PropertyKey, never>>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  Subscription: ResolverTypeWrapper<Record<PropertyKey, never>>;
  Node: ResolverTypeWrapper<ResolversInterfaceTypes<ResolversTypes>['Node']>;
  PageInfo: ResolverTypeWrapper<PageInfo>;
  Count: ResolverTypeWrapper<Count>;
  UserError: ResolverTypeWrapper<ResolversInterfaceTypes<ResolversTypes>['UserError']>;
  ValidationError: ResolverTypeWrapper<ValidationError>;
  Violation: ResolverTypeWrapper<Violation>;
  NotFoundError: ResolverTypeWrapper<NotFoundError>;
  ForbiddenError: ResolverTypeWrapper<ForbiddenError>;
  UnavailableError: ResolverTypeWrapper<UnavailableError>;
  ReplayEventsInput: ReplayEventsInput;
  ReplayEventsResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['ReplayEventsResult']>;
  ReplayEventsSuccess: ResolverTypeWrapper<Omit<ReplayEventsSuccess, 'events'> & { events: Array<ResolversTypes['Event']> }>;
  RunFilter: RunFilter;
  RunState: RunState;
  Run: ResolverTypeWrapper<RunRow>;
  StepKind: StepKind;
  StepState: StepState;
  Step: ResolverTypeWrapper<StepRow>;
  TokenUsage: ResolverTypeWrapper<TokenUsage>;
  ModelAttempt: ResolverTypeWrapper<ModelAttemptRow>;
  Decision: ResolverTypeWrapper<RunRow>;
  RunConnection: ResolverTypeWrapper<RunPage>;
  RunEdge: ResolverTypeWrapper<Omit<RunEdge, 'node'> & { node: ResolversTypes['Run'] }>;
  EventChangeFilter: EventChangeFilter;
  Change: Change;
  EventChange: ResolverTypeWrapper<Omit<EventChange, 'event'> & { event: ResolversTypes['Event'] }>;
  TimelineKind: TimelineKind;
  TimelineEntry: ResolverTypeWrapper<TimelineRow>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  CreateApiKeyInput: CreateApiKeyInput;
  String: Scalars['String']['output'];
  CreateApiKeyResult: ResolversUnionTypes<ResolversParentTypes>['CreateApiKeyResult'];
  CreateApiKeySuccess: Omit<CreateApiKeySuccess, 'apiKey'> & { apiKey: ResolversParentTypes['ApiKey'] };
  RevokeApiKeyInput: RevokeApiKeyInput;
  ID: Scalars['ID']['output'];
  RevokeApiKeyResult: ResolversUnionTypes<ResolversParentTypes>['RevokeApiKeyResult'];
  RevokeApiKeySuccess: Omit<RevokeApiKeySuccess, 'apiKey'> & { apiKey: ResolversParentTypes['ApiKey'] };
  ApiKey: ApiKeyRow;
  BulkReplayInput: BulkReplayInput;
  Boolean: Scalars['Boolean']['output'];
  BulkRedeliverInput: BulkRedeliverInput;
  CancelBulkOperationInput: CancelBulkOperationInput;
  BulkReplayFilter: BulkReplayFilter;
  BulkRedeliverFilter: BulkRedeliverFilter;
  BulkReplayResult: ResolversUnionTypes<ResolversParentTypes>['BulkReplayResult'];
  BulkRedeliverResult: ResolversUnionTypes<ResolversParentTypes>['BulkRedeliverResult'];
  CancelBulkOperationResult: ResolversUnionTypes<ResolversParentTypes>['CancelBulkOperationResult'];
  BulkReplaySuccess: BulkReplaySuccess;
  BulkRedeliverSuccess: BulkRedeliverSuccess;
  CancelBulkOperationSuccess: Omit<CancelBulkOperationSuccess, 'operation'> & { operation: ResolversParentTypes['BulkOperation'] };
  BulkOperationFilter: BulkOperationFilter;
  BulkOperation: BulkOperationRow;
  BulkOperationConnection: BulkOperationPage;
  BulkOperationEdge: Omit<BulkOperationEdge, 'node'> & { node: ResolversParentTypes['BulkOperation'] };
  CustomerFilter: CustomerFilter;
  Customer: CustomerRow;
  CustomerConnection: CustomerPage;
  CustomerEdge: Omit<CustomerEdge, 'node'> & { node: ResolversParentTypes['Customer'] };
  SettleDeadLetterInput: SettleDeadLetterInput;
  SkipDeadLetterResult: ResolversUnionTypes<ResolversParentTypes>['SkipDeadLetterResult'];
  RetryDeadLetterResult: ResolversUnionTypes<ResolversParentTypes>['RetryDeadLetterResult'];
  SkipDeadLetterSuccess: Omit<SkipDeadLetterSuccess, 'deadLetter'> & { deadLetter: ResolversParentTypes['DeadLetter'] };
  RetryDeadLetterSuccess: Omit<RetryDeadLetterSuccess, 'deadLetter'> & { deadLetter: ResolversParentTypes['DeadLetter'] };
  DeadLetterFilter: DeadLetterFilter;
  DeadLetter: DeadLetterRow;
  Hold: HoldRow;
  DeadLetterConnection: DeadLetterPage;
  DeadLetterEdge: Omit<DeadLetterEdge, 'node'> & { node: ResolversParentTypes['DeadLetter'] };
  RedeliverInput: RedeliverInput;
  RedeliverResult: ResolversUnionTypes<ResolversParentTypes>['RedeliverResult'];
  RedeliverSuccess: Omit<RedeliverSuccess, 'delivery'> & { delivery: ResolversParentTypes['Delivery'] };
  DeliveryFilter: DeliveryFilter;
  Delivery: DeliveryRow;
  Attempt: AttemptRow;
  DeliveryConnection: DeliveryPage;
  DeliveryEdge: Omit<DeliveryEdge, 'node'> & { node: ResolversParentTypes['Delivery'] };
  EnableDestinationInput: EnableDestinationInput;
  EnableDestinationResult: ResolversUnionTypes<ResolversParentTypes>['EnableDestinationResult'];
  EnableDestinationSuccess: EnableDestinationSuccess;
  Destination: DestinationRow;
  ApplyDocumentsInput: ApplyDocumentsInput;
  ApplyDocumentsResult: ResolversUnionTypes<ResolversParentTypes>['ApplyDocumentsResult'];
  ApplyDocumentsSuccess: ApplyDocumentsSuccess;
  RemoveDocumentInput: RemoveDocumentInput;
  RemoveDocumentResult: ResolversUnionTypes<ResolversParentTypes>['RemoveDocumentResult'];
  RemoveDocumentSuccess: RemoveDocumentSuccess;
  DocumentChange: DocumentChange;
  FieldDifference: FieldDifference;
  Document: DocumentRow;
  EventFilter: EventFilter;
  Event: EventRow;
  EventConnection: EventPage;
  EventEdge: Omit<EventEdge, 'node'> & { node: ResolversParentTypes['Event'] };
  DateTime: Scalars['DateTime']['output'];
  JSON: Scalars['JSON']['output'];
  Query: Record<PropertyKey, never>;
  Mutation: Record<PropertyKey, never>;
  Subscription: Record<PropertyKey, never>;
  Node: ResolversInterfaceTypes<ResolversParentTypes>['Node'];
  PageInfo: PageInfo;
  Count: Count;
  UserError: ResolversInterfaceTypes<ResolversParentTypes>['UserError'];
  ValidationError: ValidationError;
  Violation: Violation;
  NotFoundError: NotFoundError;
  ForbiddenError: ForbiddenError;
  UnavailableError: UnavailableError;
  ReplayEventsInput: ReplayEventsInput;
  ReplayEventsResult: ResolversUnionTypes<ResolversParentTypes>['ReplayEventsResult'];
  ReplayEventsSuccess: Omit<ReplayEventsSuccess, 'events'> & { events: Array<ResolversParentTypes['Event']> };
  RunFilter: RunFilter;
  Run: RunRow;
  Step: StepRow;
  TokenUsage: TokenUsage;
  ModelAttempt: ModelAttemptRow;
  Decision: RunRow;
  RunConnection: RunPage;
  RunEdge: Omit<RunEdge, 'node'> & { node: ResolversParentTypes['Run'] };
  EventChangeFilter: EventChangeFilter;
  EventChange: Omit<EventChange, 'event'> & { event: ResolversParentTypes['Event'] };
  TimelineEntry: TimelineRow;
  Int: Scalars['Int']['output'];
};

export type AuthDirectiveArgs = {
  scope: Scope;
};

export type AuthDirectiveResolver<Result, Parent, ContextType = QueryContext, Args = AuthDirectiveArgs> = DirectiveResolverFn<Result, Parent, ContextType, Args>;

export type CostDirectiveArgs = {
  weight: Scalars['Int']['input'];
  rows: Scalars['Int']['input'];
};

export type CostDirectiveResolver<Result, Parent, ContextType = QueryContext, Args = CostDirectiveArgs> = DirectiveResolverFn<Result, Parent, ContextType, Args>;

export type CreateApiKeyResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CreateApiKeyResult'] = ResolversParentTypes['CreateApiKeyResult']> = {
  __resolveType: TypeResolveFn<'CreateApiKeySuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type CreateApiKeySuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CreateApiKeySuccess'] = ResolversParentTypes['CreateApiKeySuccess']> = {
  apiKey?: Resolver<ResolversTypes['ApiKey'], ParentType, ContextType>;
  key?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type RevokeApiKeyResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RevokeApiKeyResult'] = ResolversParentTypes['RevokeApiKeyResult']> = {
  __resolveType: TypeResolveFn<'RevokeApiKeySuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type RevokeApiKeySuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RevokeApiKeySuccess'] = ResolversParentTypes['RevokeApiKeySuccess']> = {
  apiKey?: Resolver<ResolversTypes['ApiKey'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ApiKeyResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ApiKey'] = ResolversParentTypes['ApiKey']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  scopes?: Resolver<Array<ResolversTypes['Scope']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  createdBy?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  expiresAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  revokedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
};

export type BulkReplayResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkReplayResult'] = ResolversParentTypes['BulkReplayResult']> = {
  __resolveType: TypeResolveFn<'BulkReplaySuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type BulkRedeliverResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkRedeliverResult'] = ResolversParentTypes['BulkRedeliverResult']> = {
  __resolveType: TypeResolveFn<'BulkRedeliverSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type CancelBulkOperationResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CancelBulkOperationResult'] = ResolversParentTypes['CancelBulkOperationResult']> = {
  __resolveType: TypeResolveFn<'CancelBulkOperationSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type BulkReplaySuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkReplaySuccess'] = ResolversParentTypes['BulkReplaySuccess']> = {
  matched?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
  operationId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type BulkRedeliverSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkRedeliverSuccess'] = ResolversParentTypes['BulkRedeliverSuccess']> = {
  matched?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
  operationId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type CancelBulkOperationSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CancelBulkOperationSuccess'] = ResolversParentTypes['CancelBulkOperationSuccess']> = {
  commandId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  operation?: Resolver<ResolversTypes['BulkOperation'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type BulkOperationResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkOperation'] = ResolversParentTypes['BulkOperation']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['BulkOperationKind'], ParentType, ContextType>;
  state?: Resolver<ResolversTypes['BulkOperationState'], ParentType, ContextType>;
  selection?: Resolver<ResolversTypes['BulkSelection'], ParentType, ContextType>;
  filter?: Resolver<ResolversTypes['JSON'], ParentType, ContextType>;
  flow?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  ratePerSecond?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  total?: Resolver<Maybe<ResolversTypes['Count']>, ParentType, ContextType>;
  done?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  failed?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  actor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  startedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  finishedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  errorCode?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  errorMessage?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type BulkOperationConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkOperationConnection'] = ResolversParentTypes['BulkOperationConnection']> = {
  edges?: Resolver<Array<ResolversTypes['BulkOperationEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['BulkOperation']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type BulkOperationEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['BulkOperationEdge'] = ResolversParentTypes['BulkOperationEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['BulkOperation'], ParentType, ContextType>;
};

export type CustomerResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Customer'] = ResolversParentTypes['Customer']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  key?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  firstEventAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  lastEventAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  holds?: Resolver<Array<ResolversTypes['Hold']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type CustomerConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CustomerConnection'] = ResolversParentTypes['CustomerConnection']> = {
  edges?: Resolver<Array<ResolversTypes['CustomerEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['Customer']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type CustomerEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['CustomerEdge'] = ResolversParentTypes['CustomerEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Customer'], ParentType, ContextType>;
};

export type SkipDeadLetterResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['SkipDeadLetterResult'] = ResolversParentTypes['SkipDeadLetterResult']> = {
  __resolveType: TypeResolveFn<'SkipDeadLetterSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type RetryDeadLetterResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RetryDeadLetterResult'] = ResolversParentTypes['RetryDeadLetterResult']> = {
  __resolveType: TypeResolveFn<'RetryDeadLetterSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type SkipDeadLetterSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['SkipDeadLetterSuccess'] = ResolversParentTypes['SkipDeadLetterSuccess']> = {
  commandId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  deadLetter?: Resolver<ResolversTypes['DeadLetter'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type RetryDeadLetterSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RetryDeadLetterSuccess'] = ResolversParentTypes['RetryDeadLetterSuccess']> = {
  commandId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  deadLetter?: Resolver<ResolversTypes['DeadLetter'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type DeadLetterResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DeadLetter'] = ResolversParentTypes['DeadLetter']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['DeadLetterKind'], ParentType, ContextType>;
  customer?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  code?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  position?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  resolvedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  resolution?: Resolver<Maybe<ResolversTypes['DeadLetterResolution']>, ParentType, ContextType>;
  holds?: Resolver<Array<ResolversTypes['Hold']>, ParentType, ContextType>;
  event?: Resolver<Maybe<ResolversTypes['Event']>, ParentType, ContextType>;
  run?: Resolver<Maybe<ResolversTypes['Run']>, ParentType, ContextType>;
  delivery?: Resolver<Maybe<ResolversTypes['Delivery']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type HoldResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Hold'] = ResolversParentTypes['Hold']> = {
  group?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  topic?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  customer?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  reason?: Resolver<ResolversTypes['HoldReason'], ParentType, ContextType>;
  deadLetter?: Resolver<Maybe<ResolversTypes['DeadLetter']>, ParentType, ContextType>;
  retryRequestedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  heldRecords?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type DeadLetterConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DeadLetterConnection'] = ResolversParentTypes['DeadLetterConnection']> = {
  edges?: Resolver<Array<ResolversTypes['DeadLetterEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['DeadLetter']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type DeadLetterEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DeadLetterEdge'] = ResolversParentTypes['DeadLetterEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['DeadLetter'], ParentType, ContextType>;
};

export type RedeliverResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RedeliverResult'] = ResolversParentTypes['RedeliverResult']> = {
  __resolveType: TypeResolveFn<'RedeliverSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type RedeliverSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RedeliverSuccess'] = ResolversParentTypes['RedeliverSuccess']> = {
  commandId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  delivery?: Resolver<ResolversTypes['Delivery'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type DeliveryResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Delivery'] = ResolversParentTypes['Delivery']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  destination?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  state?: Resolver<ResolversTypes['DeliveryState'], ParentType, ContextType>;
  flow?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  step?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  generation?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  payload?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  attemptCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  nextAttemptAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  errorCode?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  errorMessage?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  settledAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  event?: Resolver<ResolversTypes['Event'], ParentType, ContextType>;
  run?: Resolver<ResolversTypes['Run'], ParentType, ContextType>;
  attempts?: Resolver<Array<ResolversTypes['Attempt']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type AttemptResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Attempt'] = ResolversParentTypes['Attempt']> = {
  number?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['AttemptOutcome'], ParentType, ContextType>;
  status?: Resolver<Maybe<ResolversTypes['Int']>, ParentType, ContextType>;
  errorCode?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  errorMessage?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  responseExcerpt?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  startedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  finishedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type DeliveryConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DeliveryConnection'] = ResolversParentTypes['DeliveryConnection']> = {
  edges?: Resolver<Array<ResolversTypes['DeliveryEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['Delivery']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type DeliveryEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DeliveryEdge'] = ResolversParentTypes['DeliveryEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Delivery'], ParentType, ContextType>;
};

export type EnableDestinationResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['EnableDestinationResult'] = ResolversParentTypes['EnableDestinationResult']> = {
  __resolveType: TypeResolveFn<'EnableDestinationSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type EnableDestinationSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['EnableDestinationSuccess'] = ResolversParentTypes['EnableDestinationSuccess']> = {
  commandId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type DestinationResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Destination'] = ResolversParentTypes['Destination']> = {
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  state?: Resolver<ResolversTypes['DestinationState'], ParentType, ContextType>;
  since?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  until?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  reason?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type ApplyDocumentsResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ApplyDocumentsResult'] = ResolversParentTypes['ApplyDocumentsResult']> = {
  __resolveType: TypeResolveFn<'ApplyDocumentsSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type ApplyDocumentsSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ApplyDocumentsSuccess'] = ResolversParentTypes['ApplyDocumentsSuccess']> = {
  changes?: Resolver<Array<ResolversTypes['DocumentChange']>, ParentType, ContextType>;
  dryRun?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type RemoveDocumentResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RemoveDocumentResult'] = ResolversParentTypes['RemoveDocumentResult']> = {
  __resolveType: TypeResolveFn<'RemoveDocumentSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type RemoveDocumentSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RemoveDocumentSuccess'] = ResolversParentTypes['RemoveDocumentSuccess']> = {
  change?: Resolver<ResolversTypes['DocumentChange'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type DocumentChangeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['DocumentChange'] = ResolversParentTypes['DocumentChange']> = {
  kind?: Resolver<ResolversTypes['DocumentKind'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  change?: Resolver<ResolversTypes['ChangeKind'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  differences?: Resolver<Array<ResolversTypes['FieldDifference']>, ParentType, ContextType>;
};

export type FieldDifferenceResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['FieldDifference'] = ResolversParentTypes['FieldDifference']> = {
  path?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  before?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  after?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
};

export type DocumentResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Document'] = ResolversParentTypes['Document']> = {
  kind?: Resolver<ResolversTypes['DocumentKind'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  createdBy?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  content?: Resolver<ResolversTypes['JSON'], ParentType, ContextType>;
};

export type EventResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Event'] = ResolversParentTypes['Event']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  type?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  source?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  customer?: Resolver<ResolversTypes['Customer'], ParentType, ContextType>;
  lane?: Resolver<ResolversTypes['Lane'], ParentType, ContextType>;
  providerEventId?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  state?: Resolver<ResolversTypes['EventState'], ParentType, ContextType>;
  data?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  contentType?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  occurredAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  receivedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  recordedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  traceId?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  timeline?: Resolver<Array<ResolversTypes['TimelineEntry']>, ParentType, ContextType>;
  runs?: Resolver<Array<ResolversTypes['Run']>, ParentType, ContextType>;
  decisions?: Resolver<Array<ResolversTypes['Decision']>, ParentType, ContextType>;
  deliveries?: Resolver<Array<ResolversTypes['Delivery']>, ParentType, ContextType>;
  deadLetters?: Resolver<Array<ResolversTypes['DeadLetter']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type EventConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['EventConnection'] = ResolversParentTypes['EventConnection']> = {
  edges?: Resolver<Array<ResolversTypes['EventEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['Event']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type EventEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['EventEdge'] = ResolversParentTypes['EventEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Event'], ParentType, ContextType>;
};

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export interface JsonScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['JSON'], any> {
  name: 'JSON';
}

export type QueryResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Query'] = ResolversParentTypes['Query']> = {
  apiKeys?: Resolver<Array<ResolversTypes['ApiKey']>, ParentType, ContextType>;
  bulkOperation?: Resolver<Maybe<ResolversTypes['BulkOperation']>, ParentType, ContextType, RequireFields<QueryBulkOperationArgs, 'id'>>;
  bulkOperations?: Resolver<ResolversTypes['BulkOperationConnection'], ParentType, ContextType, Partial<QueryBulkOperationsArgs>>;
  customer?: Resolver<Maybe<ResolversTypes['Customer']>, ParentType, ContextType, RequireFields<QueryCustomerArgs, 'key'>>;
  customers?: Resolver<ResolversTypes['CustomerConnection'], ParentType, ContextType, RequireFields<QueryCustomersArgs, 'orderBy'>>;
  deadLetter?: Resolver<Maybe<ResolversTypes['DeadLetter']>, ParentType, ContextType, RequireFields<QueryDeadLetterArgs, 'id'>>;
  deadLetters?: Resolver<ResolversTypes['DeadLetterConnection'], ParentType, ContextType, Partial<QueryDeadLettersArgs>>;
  delivery?: Resolver<Maybe<ResolversTypes['Delivery']>, ParentType, ContextType, RequireFields<QueryDeliveryArgs, 'id'>>;
  deliveries?: Resolver<ResolversTypes['DeliveryConnection'], ParentType, ContextType, Partial<QueryDeliveriesArgs>>;
  destinations?: Resolver<Array<ResolversTypes['Destination']>, ParentType, ContextType>;
  documents?: Resolver<Array<ResolversTypes['Document']>, ParentType, ContextType, Partial<QueryDocumentsArgs>>;
  document?: Resolver<Maybe<ResolversTypes['Document']>, ParentType, ContextType, RequireFields<QueryDocumentArgs, 'kind' | 'name'>>;
  event?: Resolver<Maybe<ResolversTypes['Event']>, ParentType, ContextType, RequireFields<QueryEventArgs, 'id'>>;
  eventFromSource?: Resolver<Maybe<ResolversTypes['Event']>, ParentType, ContextType, RequireFields<QueryEventFromSourceArgs, 'source' | 'providerEventId'>>;
  events?: Resolver<ResolversTypes['EventConnection'], ParentType, ContextType, Partial<QueryEventsArgs>>;
  node?: Resolver<Maybe<ResolversTypes['Node']>, ParentType, ContextType, RequireFields<QueryNodeArgs, 'id'>>;
  nodes?: Resolver<Array<Maybe<ResolversTypes['Node']>>, ParentType, ContextType, RequireFields<QueryNodesArgs, 'ids'>>;
  run?: Resolver<Maybe<ResolversTypes['Run']>, ParentType, ContextType, RequireFields<QueryRunArgs, 'id'>>;
  runs?: Resolver<ResolversTypes['RunConnection'], ParentType, ContextType, Partial<QueryRunsArgs>>;
};

export type MutationResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  createApiKey?: Resolver<ResolversTypes['CreateApiKeyResult'], ParentType, ContextType, RequireFields<MutationCreateApiKeyArgs, 'input'>>;
  revokeApiKey?: Resolver<ResolversTypes['RevokeApiKeyResult'], ParentType, ContextType, RequireFields<MutationRevokeApiKeyArgs, 'input'>>;
  bulkReplay?: Resolver<ResolversTypes['BulkReplayResult'], ParentType, ContextType, RequireFields<MutationBulkReplayArgs, 'input'>>;
  bulkRedeliver?: Resolver<ResolversTypes['BulkRedeliverResult'], ParentType, ContextType, RequireFields<MutationBulkRedeliverArgs, 'input'>>;
  cancelBulkOperation?: Resolver<ResolversTypes['CancelBulkOperationResult'], ParentType, ContextType, RequireFields<MutationCancelBulkOperationArgs, 'input'>>;
  skipDeadLetter?: Resolver<ResolversTypes['SkipDeadLetterResult'], ParentType, ContextType, RequireFields<MutationSkipDeadLetterArgs, 'input'>>;
  retryDeadLetter?: Resolver<ResolversTypes['RetryDeadLetterResult'], ParentType, ContextType, RequireFields<MutationRetryDeadLetterArgs, 'input'>>;
  redeliver?: Resolver<ResolversTypes['RedeliverResult'], ParentType, ContextType, RequireFields<MutationRedeliverArgs, 'input'>>;
  enableDestination?: Resolver<ResolversTypes['EnableDestinationResult'], ParentType, ContextType, RequireFields<MutationEnableDestinationArgs, 'input'>>;
  applyDocuments?: Resolver<ResolversTypes['ApplyDocumentsResult'], ParentType, ContextType, RequireFields<MutationApplyDocumentsArgs, 'input'>>;
  removeDocument?: Resolver<ResolversTypes['RemoveDocumentResult'], ParentType, ContextType, RequireFields<MutationRemoveDocumentArgs, 'input'>>;
  replayEvents?: Resolver<ResolversTypes['ReplayEventsResult'], ParentType, ContextType, RequireFields<MutationReplayEventsArgs, 'input'>>;
};

export type SubscriptionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Subscription'] = ResolversParentTypes['Subscription']> = {
  eventChanged?: SubscriptionResolver<ResolversTypes['EventChange'], "eventChanged", ParentType, ContextType, Partial<SubscriptionEventChangedArgs>>;
};

export type NodeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Node'] = ResolversParentTypes['Node']> = {
  __resolveType: TypeResolveFn<'BulkOperation' | 'Customer' | 'DeadLetter' | 'Delivery' | 'Event' | 'Run', ParentType, ContextType>;
};

export type PageInfoResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['PageInfo'] = ResolversParentTypes['PageInfo']> = {
  hasNextPage?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  hasPreviousPage?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  startCursor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  endCursor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type CountResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Count'] = ResolversParentTypes['Count']> = {
  value?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  exact?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
};

export type UserErrorResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['UserError'] = ResolversParentTypes['UserError']> = {
  __resolveType: TypeResolveFn<'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type ValidationErrorResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ValidationError'] = ResolversParentTypes['ValidationError']> = {
  code?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  path?: Resolver<Maybe<Array<ResolversTypes['String']>>, ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['Outcome'], ParentType, ContextType>;
  violations?: Resolver<Array<ResolversTypes['Violation']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ViolationResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Violation'] = ResolversParentTypes['Violation']> = {
  path?: Resolver<Array<ResolversTypes['String']>, ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
};

export type NotFoundErrorResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['NotFoundError'] = ResolversParentTypes['NotFoundError']> = {
  code?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  path?: Resolver<Maybe<Array<ResolversTypes['String']>>, ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['Outcome'], ParentType, ContextType>;
  missing?: Resolver<Array<ResolversTypes['String']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ForbiddenErrorResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ForbiddenError'] = ResolversParentTypes['ForbiddenError']> = {
  code?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  path?: Resolver<Maybe<Array<ResolversTypes['String']>>, ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['Outcome'], ParentType, ContextType>;
  requiredScope?: Resolver<ResolversTypes['Scope'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type UnavailableErrorResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['UnavailableError'] = ResolversParentTypes['UnavailableError']> = {
  code?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  path?: Resolver<Maybe<Array<ResolversTypes['String']>>, ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['Outcome'], ParentType, ContextType>;
  retryAfterMs?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ReplayEventsResultResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ReplayEventsResult'] = ResolversParentTypes['ReplayEventsResult']> = {
  __resolveType: TypeResolveFn<'ReplayEventsSuccess' | 'ValidationError' | 'NotFoundError' | 'ForbiddenError' | 'UnavailableError', ParentType, ContextType>;
};

export type ReplayEventsSuccessResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ReplayEventsSuccess'] = ResolversParentTypes['ReplayEventsSuccess']> = {
  commandIds?: Resolver<Array<ResolversTypes['ID']>, ParentType, ContextType>;
  events?: Resolver<Array<ResolversTypes['Event']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type RunResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Run'] = ResolversParentTypes['Run']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  flow?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  flowVersion?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  generation?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  state?: Resolver<ResolversTypes['RunState'], ParentType, ContextType>;
  event?: Resolver<ResolversTypes['Event'], ParentType, ContextType>;
  decision?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  errorCode?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  errorMessage?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  startedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  finishedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  traceId?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  steps?: Resolver<Array<ResolversTypes['Step']>, ParentType, ContextType>;
  modelAttempts?: Resolver<Array<ResolversTypes['ModelAttempt']>, ParentType, ContextType>;
  deliveries?: Resolver<Array<ResolversTypes['Delivery']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type StepResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Step'] = ResolversParentTypes['Step']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['StepKind'], ParentType, ContextType>;
  state?: Resolver<ResolversTypes['StepState'], ParentType, ContextType>;
  output?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  model?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  responseModel?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  usage?: Resolver<Maybe<ResolversTypes['TokenUsage']>, ParentType, ContextType>;
  startedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  finishedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type TokenUsageResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['TokenUsage'] = ResolversParentTypes['TokenUsage']> = {
  inputTokens?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  outputTokens?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type ModelAttemptResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['ModelAttempt'] = ResolversParentTypes['ModelAttempt']> = {
  step?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  number?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  model?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  responseModel?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  providerRequestId?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  outcome?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  errorCode?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  errorMessage?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  usage?: Resolver<Maybe<ResolversTypes['TokenUsage']>, ParentType, ContextType>;
  startedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  finishedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type DecisionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['Decision'] = ResolversParentTypes['Decision']> = {
  flow?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  flowVersion?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  generation?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  value?: Resolver<Maybe<ResolversTypes['JSON']>, ParentType, ContextType>;
  decidedAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  run?: Resolver<ResolversTypes['Run'], ParentType, ContextType>;
};

export type RunConnectionResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RunConnection'] = ResolversParentTypes['RunConnection']> = {
  edges?: Resolver<Array<ResolversTypes['RunEdge']>, ParentType, ContextType>;
  nodes?: Resolver<Array<ResolversTypes['Run']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Count'], ParentType, ContextType>;
};

export type RunEdgeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['RunEdge'] = ResolversParentTypes['RunEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Run'], ParentType, ContextType>;
};

export type EventChangeResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['EventChange'] = ResolversParentTypes['EventChange']> = {
  change?: Resolver<ResolversTypes['Change'], ParentType, ContextType>;
  at?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  code?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  runId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  deliveryId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  event?: Resolver<ResolversTypes['Event'], ParentType, ContextType>;
};

export type TimelineEntryResolvers<ContextType = QueryContext, ParentType extends ResolversParentTypes['TimelineEntry'] = ResolversParentTypes['TimelineEntry']> = {
  at?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  kind?: Resolver<ResolversTypes['TimelineKind'], ParentType, ContextType>;
  title?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  code?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  runId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  step?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  deliveryId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  deadLetterId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  attempt?: Resolver<Maybe<ResolversTypes['Int']>, ParentType, ContextType>;
  actor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type Resolvers<ContextType = QueryContext> = {
  CreateApiKeyResult?: CreateApiKeyResultResolvers<ContextType>;
  CreateApiKeySuccess?: CreateApiKeySuccessResolvers<ContextType>;
  RevokeApiKeyResult?: RevokeApiKeyResultResolvers<ContextType>;
  RevokeApiKeySuccess?: RevokeApiKeySuccessResolvers<ContextType>;
  ApiKey?: ApiKeyResolvers<ContextType>;
  BulkReplayResult?: BulkReplayResultResolvers<ContextType>;
  BulkRedeliverResult?: BulkRedeliverResultResolvers<ContextType>;
  CancelBulkOperationResult?: CancelBulkOperationResultResolvers<ContextType>;
  BulkReplaySuccess?: BulkReplaySuccessResolvers<ContextType>;
  BulkRedeliverSuccess?: BulkRedeliverSuccessResolvers<ContextType>;
  CancelBulkOperationSuccess?: CancelBulkOperationSuccessResolvers<ContextType>;
  BulkOperation?: BulkOperationResolvers<ContextType>;
  BulkOperationConnection?: BulkOperationConnectionResolvers<ContextType>;
  BulkOperationEdge?: BulkOperationEdgeResolvers<ContextType>;
  Customer?: CustomerResolvers<ContextType>;
  CustomerConnection?: CustomerConnectionResolvers<ContextType>;
  CustomerEdge?: CustomerEdgeResolvers<ContextType>;
  SkipDeadLetterResult?: SkipDeadLetterResultResolvers<ContextType>;
  RetryDeadLetterResult?: RetryDeadLetterResultResolvers<ContextType>;
  SkipDeadLetterSuccess?: SkipDeadLetterSuccessResolvers<ContextType>;
  RetryDeadLetterSuccess?: RetryDeadLetterSuccessResolvers<ContextType>;
  DeadLetter?: DeadLetterResolvers<ContextType>;
  Hold?: HoldResolvers<ContextType>;
  DeadLetterConnection?: DeadLetterConnectionResolvers<ContextType>;
  DeadLetterEdge?: DeadLetterEdgeResolvers<ContextType>;
  RedeliverResult?: RedeliverResultResolvers<ContextType>;
  RedeliverSuccess?: RedeliverSuccessResolvers<ContextType>;
  Delivery?: DeliveryResolvers<ContextType>;
  Attempt?: AttemptResolvers<ContextType>;
  DeliveryConnection?: DeliveryConnectionResolvers<ContextType>;
  DeliveryEdge?: DeliveryEdgeResolvers<ContextType>;
  EnableDestinationResult?: EnableDestinationResultResolvers<ContextType>;
  EnableDestinationSuccess?: EnableDestinationSuccessResolvers<ContextType>;
  Destination?: DestinationResolvers<ContextType>;
  ApplyDocumentsResult?: ApplyDocumentsResultResolvers<ContextType>;
  ApplyDocumentsSuccess?: ApplyDocumentsSuccessResolvers<ContextType>;
  RemoveDocumentResult?: RemoveDocumentResultResolvers<ContextType>;
  RemoveDocumentSuccess?: RemoveDocumentSuccessResolvers<ContextType>;
  DocumentChange?: DocumentChangeResolvers<ContextType>;
  FieldDifference?: FieldDifferenceResolvers<ContextType>;
  Document?: DocumentResolvers<ContextType>;
  Event?: EventResolvers<ContextType>;
  EventConnection?: EventConnectionResolvers<ContextType>;
  EventEdge?: EventEdgeResolvers<ContextType>;
  DateTime?: GraphQLScalarType;
  JSON?: GraphQLScalarType;
  Query?: QueryResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  Subscription?: SubscriptionResolvers<ContextType>;
  Node?: NodeResolvers<ContextType>;
  PageInfo?: PageInfoResolvers<ContextType>;
  Count?: CountResolvers<ContextType>;
  UserError?: UserErrorResolvers<ContextType>;
  ValidationError?: ValidationErrorResolvers<ContextType>;
  Violation?: ViolationResolvers<ContextType>;
  NotFoundError?: NotFoundErrorResolvers<ContextType>;
  ForbiddenError?: ForbiddenErrorResolvers<ContextType>;
  UnavailableError?: UnavailableErrorResolvers<ContextType>;
  ReplayEventsResult?: ReplayEventsResultResolvers<ContextType>;
  ReplayEventsSuccess?: ReplayEventsSuccessResolvers<ContextType>;
  Run?: RunResolvers<ContextType>;
  Step?: StepResolvers<ContextType>;
  TokenUsage?: TokenUsageResolvers<ContextType>;
  ModelAttempt?: ModelAttemptResolvers<ContextType>;
  Decision?: DecisionResolvers<ContextType>;
  RunConnection?: RunConnectionResolvers<ContextType>;
  RunEdge?: RunEdgeResolvers<ContextType>;
  EventChange?: EventChangeResolvers<ContextType>;
  TimelineEntry?: TimelineEntryResolvers<ContextType>;
};

export type DirectiveResolvers<ContextType = QueryContext> = {
  auth?: AuthDirectiveResolver<any, any, ContextType>;
  cost?: CostDirectiveResolver<any, any, ContextType>;
};
