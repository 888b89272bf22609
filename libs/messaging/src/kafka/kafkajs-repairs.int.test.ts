/** @module-tag both-logs How a connection behaves depends on the server at its other end. */
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, expect, test, vi } from 'vitest';
import { testBrokers } from '#libs/testing';
import './kafkajs-repairs.js';

afterEach(() => vi.restoreAllMocks());

test('a connection with nothing to send starts no timers', async () => {
  const admin = new Kafka({ brokers: [...testBrokers()], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.listTopics(); // a response makes the unrepaired client spin
  const timers = vi.spyOn(globalThis, 'setTimeout');
  const observed = new Promise((resolve) => setTimeout(resolve, 300));
  await observed;
  await admin.disconnect();
  // The timer of this test and those of the test runner; unrepaired, more than 200.
  expect(timers.mock.calls.length).toBeLessThan(10);
});
