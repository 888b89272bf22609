import { integer } from '#libs/config';
import type { Settings } from '#libs/config';
import { outboundSettings } from '#libs/http';
import { longestLeaseMs } from '#libs/persistence';
import { serviceSettings } from '#libs/service';

const own = {
  deliveryConcurrency: integer(
    'DELIVERY_CONCURRENCY',
    { min: 1, max: 10_000 },
    {
      help: 'Attempts under way at once per process. A destination never gets more than half of them, nor more than its document allows.',
      fallback: '128',
    },
  ),
  deliveryPollMs: integer(
    'DELIVERY_POLL_MS',
    { min: 10, max: 60_000 },
    {
      help: 'How often a process looks for retries that are due and for deliveries that other processes left behind; new deliveries start at once.',
      fallback: '500',
    },
  ),
  deliveryLeaseMs: integer(
    'DELIVERY_LEASE_MS',
    { min: 1_000, max: longestLeaseMs },
    {
      help: 'How long a claim on a delivery lasts without being renewed; it is renewed while an attempt is under way.',
      fallback: '15000',
    },
  ),
  deliveryStopMs: integer(
    'DELIVERY_STOP_MS',
    { min: 0, max: 120_000 },
    {
      help: 'How long a stopping process waits for attempts under way before it aborts them; other processes make them again.',
      fallback: '10000',
    },
  ),
  deliveryBreakerOpenMs: integer(
    'DELIVERY_BREAKER_OPEN_MS',
    { min: 10, max: 600_000 },
    {
      help: 'How long a destination that fails gets nothing before it is probed; each time in a row twice as long, varied at random by up to 20 %.',
      fallback: '5000',
    },
  ),
  deliveryBreakerLongestOpenMs: integer(
    'DELIVERY_BREAKER_LONGEST_OPEN_MS',
    { min: 10, max: 3_600_000 },
    { help: 'The longest time that a failing destination gets nothing before it is probed.', fallback: '120000' },
  ),
  ...outboundSettings,
};

export const connectorsSettings = {
  ...serviceSettings,
  ...own,
};

/** The settings of the module; the rest of the table belongs to the process. */
export type ConnectorsOptions = Settings<typeof own>;
