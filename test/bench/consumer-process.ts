/** One consumer of the consumer bench, in a process of its own: reads the topic that its parent names, measures, and sends the result back. */
import 'reflect-metadata';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, Module } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Kafka, logLevel } from 'kafkajs';
import type { Topic } from '#libs/contracts';
import { LogConsumer, OnRecord, RecordProducer } from '#libs/messaging';
import { setLogLevel } from '#libs/tracing';
import { Noted, benchPrefix } from './consumer.js';
import type { ConsumerResult } from './consumer-task.js';
import type { NodeConsumerKind, NodeConsumerTask } from './consumer.js';

interface Value {
  customer: string;
  n: number;
}

/** Waits as long as a model call takes and counts violations of the order per customer. */
class SlowModel {
  private readonly atWork = new Set<string>();
  private readonly last = new Map<string, number>();
  readonly started = Promise.withResolvers<void>();
  handled = 0;
  orderViolations = 0;
  repeats = 0;

  constructor(private readonly latencyMs: number) {}

  async ask({ customer, n }: Value): Promise<void> {
    this.started.resolve();
    const last = this.last.get(customer) ?? -1;
    if (this.atWork.has(customer) || n > last + 1) this.orderViolations += 1;
    else if (n <= last) this.repeats += 1;
    this.atWork.add(customer);
    this.last.set(customer, Math.max(last, n));
    await delay(this.latencyMs);
    this.atWork.delete(customer);
    this.handled += 1;
  }
}

setLogLevel('error');
const [task] = (await once(process, 'message')) as [NodeConsumerTask];
const model = new SlowModel(task.modelLatencyMs);
const { nameOnLog, groupId } = task;

const start: Record<NodeConsumerKind, () => Promise<void>> = {
  async millrace() {
    const log = { brokers: task.brokers, clientId: 'bench', prefix: benchPrefix };
    const topic: Topic = { ...task.topic, types: [Noted] };
    @Controller()
    class Asking {
      @OnRecord(topic, Noted, { group: `${task.topic.name}.millrace` })
      async onNoted(noted: Value): Promise<void> {
        await model.ask(noted);
      }
    }
    const producer = new RecordProducer(log);
    await producer.connect();
    await listen(Asking, { strategy: new LogConsumer({ ...log, producer, concurrency: task.concurrency }) });
  },
  async nest() {
    @Controller()
    class Asking {
      @(EventPattern(nameOnLog) as MethodDecorator)
      async onNoted(@Payload() noted: Value): Promise<void> {
        await model.ask(noted);
      }
    }
    const options = { client: { brokers: [...task.brokers] }, consumer: { groupId }, subscribe: { fromBeginning: true }, postfixId: '' };
    await listen(Asking, { transport: Transport.KAFKA, options });
  },
  async onePerPartition() {
    const consumer = new Kafka({ brokers: [...task.brokers], logLevel: logLevel.ERROR }).consumer({ groupId });
    await consumer.connect();
    await consumer.subscribe({ topics: [nameOnLog], fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: task.topic.partitions,
      eachMessage: async (payload) => {
        await model.ask(JSON.parse(payload.message.value!.toString('utf8')) as Value);
        await payload.heartbeat();
      },
    });
  },
};

async function listen(controller: Type, options: MicroserviceOptions): Promise<void> {
  @Module({ controllers: [controller] })
  class ConsumerModule {}
  const app = await NestFactory.createMicroservice(ConsumerModule, { ...options, logger: ['error'] });
  await app.listen();
}

await start[task.kind]();
await model.started.promise;
await delay(task.warmUpMs);
const [handledBefore, cpuBefore, startedAt] = [model.handled, process.cpuUsage(), performance.now()];
await delay(task.measuredMs);
const seconds = (performance.now() - startedAt) / 1_000;
const cpu = process.cpuUsage(cpuBefore);
const result: ConsumerResult = {
  perSecond: (model.handled - handledBefore) / seconds,
  orderViolations: model.orderViolations,
  repeats: model.repeats,
  cpuMillisPerSecond: (cpu.user + cpu.system) / 1_000 / seconds,
};
process.send!(result);
