import { Spine1795219200000 } from './0001-spine.js';
import { QueryPages1795219200001 } from './0002-query-pages.js';
import { HeldRecords1795219200002 } from './0003-held-records.js';
import { DeliveryLanes1795219200003 } from './0004-delivery-lanes.js';
import { BulkOperations1795219200004 } from './0005-bulk-operations.js';
import { StorageUpkeep1795219200005 } from './0006-storage-upkeep.js';
import { TimeLedIds1795219200006 } from './0007-time-led-ids.js';
import { SqlFunctions1795219200007 } from './0008-sql-functions.js';
import { ConfigurationNotices1795219200008 } from './0009-configuration-notices.js';
import { LogIdentities1795219200009 } from './0010-log-identities.js';
import { ModelProviders1795219200010 } from './0011-model-providers.js';
import { Effects1795219200011 } from './0012-effects.js';
import { GroupPositions1795219200012 } from './0013-group-positions.js';
import { Connections1795219200013 } from './0014-connections.js';
import { Schedules1795219200014 } from './0015-schedules.js';
import { NestedSteps1795219200015 } from './0016-nested-steps.js';
import { Waits1795219200017 } from './0018-waits.js';
import { OperationAttempts1795219200018 } from './0019-operation-attempts.js';
import { EventWaits1795219200019 } from './0020-event-waits.js';
import { Pulls1795219200020 } from './0021-pulls.js';
import { Webhooks1795219200021 } from './0022-webhooks.js';
import { SupersededDeadLetters1795219200022 } from './0023-superseded-dead-letters.js';
import { ModelCosts1795219200023 } from './0024-model-costs.js';
import { Reviews1795219200024 } from './0025-reviews.js';
import { DecisionRequests1795219200025 } from './0026-decision-requests.js';
import { Trials1795219200026 } from './0027-trials.js';
import { Requests1795219200027 } from './0028-requests.js';
import { ModelSpend1795219200028 } from './0029-model-spend.js';
import { Promotions1795219200031 } from './0032-promotions.js';
import { EventSchemaProblems1795219200032 } from './0033-event-schema-problems.js';
import { TenantModels1795219200034 } from './0035-tenant-models.js';
import { RunDelays1795219200036 } from './0037-run-delays.js';
import { RetriesOfRuns1795219200040 } from './0041-retries-of-runs.js';
import { HeldHeaders1795219200041 } from './0042-held-headers.js';
import { StoredDecisions1795219200042 } from './0043-stored-decisions.js';
import { LeftOutItems1795219200043 } from './0044-left-out-items.js';
import { ModelsPassedOver1795219200044 } from './0045-models-passed-over.js';

/** In the order in which they are applied. A new one is appended, and owns tables, views and indexes only: functions stand in `*.functions.sql`. */
export const migrations = [
  Spine1795219200000,
  QueryPages1795219200001,
  HeldRecords1795219200002,
  DeliveryLanes1795219200003,
  BulkOperations1795219200004,
  StorageUpkeep1795219200005,
  TimeLedIds1795219200006,
  SqlFunctions1795219200007,
  ConfigurationNotices1795219200008,
  LogIdentities1795219200009,
  ModelProviders1795219200010,
  Effects1795219200011,
  GroupPositions1795219200012,
  Connections1795219200013,
  Schedules1795219200014,
  NestedSteps1795219200015,
  Waits1795219200017,
  OperationAttempts1795219200018,
  EventWaits1795219200019,
  Pulls1795219200020,
  Webhooks1795219200021,
  SupersededDeadLetters1795219200022,
  ModelCosts1795219200023,
  Reviews1795219200024,
  DecisionRequests1795219200025,
  Trials1795219200026,
  Requests1795219200027,
  ModelSpend1795219200028,
  Promotions1795219200031,
  EventSchemaProblems1795219200032,
  TenantModels1795219200034,
  RunDelays1795219200036,
  RetriesOfRuns1795219200040,
  HeldHeaders1795219200041,
  StoredDecisions1795219200042,
  LeftOutItems1795219200043,
  ModelsPassedOver1795219200044,
];

/** The names, as TypeORM's table `migration` has them. */
export const migrationNames: readonly string[] = migrations.map((migration) => migration.name);
