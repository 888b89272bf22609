import { Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationShutdown } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { BulkOperations } from '#libs/bulk';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { Deliverers } from '#libs/destinations';
import { HttpClient } from '#libs/http';
import { EventAppender } from '#libs/intake';
import { RecordProducer } from '#libs/messaging';
import { Configuration, Database, DocumentSecrets } from '#libs/persistence';
import type { ConnectorsOptions } from './config.js';
import { ConnectionUpkeep } from './connections/connection.upkeep.js';
import { WaitingDestinations } from './connections/waiting-destinations.js';
import { AttemptAnnouncer } from './deliveries/attempt.announcer.js';
import { AttemptService } from './deliveries/attempt.service.js';
import { bulkRedeliveries } from './deliveries/bulk-redeliveries.js';
import { BulkRedeliveryConsumer } from './deliveries/bulk-redelivery.consumer.js';
import { DeliveryClaims } from './deliveries/delivery.claims.js';
import { DeliveryConsumer } from './deliveries/delivery.consumer.js';
import { DeliveryService } from './deliveries/delivery.service.js';
import { DeliveryQueueTable } from './deliveries/delivery-queue.table.js';
import { DeliveryWorker, connectorsOptions } from './deliveries/delivery.worker.js';
import { DestinationHealth } from './destinations/destination-health.js';
import { DestinationHealthTable } from './destinations/destination-health.table.js';
import { DestinationConsumer } from './destinations/destination.consumer.js';
import { PullConsumer } from './pulls/pull.consumer.js';
import { PullProgressTable } from './pulls/pull-progress.table.js';
import { Puller } from './pulls/puller.js';
import { ScheduleConsumer } from './schedules/schedule.consumer.js';
import { ScheduleProgressTable } from './schedules/schedule-progress.table.js';
import { Scheduler } from './schedules/scheduler.js';

/** Turns decisions into deliveries, attempts them, and parks what cannot be delivered; makes the events of schedules and pulls. */
@Module({})
export class ConnectorsModule implements OnApplicationShutdown {
  constructor(
    private readonly http: HttpClient,
    private readonly connections: Connections,
  ) {}

  static register(options: ConnectorsOptions): DynamicModule {
    const http = new HttpClient({
      allowPrivateAddresses: options.allowPrivateAddresses,
      allowedUrls: options.allowedUrls,
      connectionsPerOrigin: options.deliveryConcurrency,
    });
    return {
      module: ConnectorsModule,
      controllers: [DeliveryConsumer, DestinationConsumer, BulkRedeliveryConsumer, ScheduleConsumer, PullConsumer],
      providers: [
        { provide: HttpClient, useValue: http },
        {
          provide: Deliverers,
          inject: [TenantConnections],
          useFactory: ({ connectors, open }: TenantConnections) => new Deliverers({ http, connectors, openConnection: open }),
        },
        {
          provide: TenantConnections,
          inject: [Configuration, Connections],
          useFactory: (configuration: Configuration, connections: Connections) => new TenantConnections(http, configuration, connections),
        },
        {
          provide: Connections,
          inject: [DocumentSecrets, SecretBox, Database],
          useFactory: (secrets: DocumentSecrets, secretBox: SecretBox, database: Database) =>
            Connections.started({ secrets, secretBox, database, ...options }),
        },
        { provide: connectorsOptions, useValue: options },
        ConnectionUpkeep,
        WaitingDestinations,
        DeliveryQueueTable,
        DestinationHealthTable,
        {
          provide: DestinationHealth,
          inject: [Database, DestinationHealthTable],
          useFactory: (database: Database, table: DestinationHealthTable) =>
            new DestinationHealth(database, table, {
              openMs: options.deliveryBreakerOpenMs,
              longestOpenMs: options.deliveryBreakerLongestOpenMs,
            }),
        },
        DeliveryClaims,
        AttemptAnnouncer,
        AttemptService,
        DeliveryWorker,
        DeliveryService,
        EventAppender,
        PullProgressTable,
        {
          provide: Puller,
          inject: [Configuration, PullProgressTable, TenantConnections, Connections, EventAppender],
          useFactory: (
            configuration: Configuration,
            table: PullProgressTable,
            connections: TenantConnections,
            states: Connections,
            appender: EventAppender,
          ) => new Puller(configuration, table, connections, states, appender),
        },
        ScheduleProgressTable,
        {
          provide: Scheduler,
          inject: [Configuration, ScheduleProgressTable, EventAppender],
          useFactory: (configuration: Configuration, table: ScheduleProgressTable, appender: EventAppender) =>
            new Scheduler(configuration, table, appender),
        },
        {
          provide: BulkOperations,
          inject: [Database, RecordProducer, Configuration],
          useFactory: (database: Database, producer: RecordProducer, configuration: Configuration) =>
            bulkRedeliveries({ database, producer, configuration }, { leaseMs: options.deliveryLeaseMs }),
        },
      ],
    };
  }

  /** Nest calls this after `beforeApplicationShutdown`, in which the worker has stopped. */
  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
    await this.http.close();
  }
}
