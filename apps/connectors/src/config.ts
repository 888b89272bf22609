import { flag, integer } from '#libs/config';
import type { Settings } from '#libs/config';
import { serviceSettings } from '#libs/service';

const own = {
  deliveryConcurrency: integer(
    'DELIVERY_CONCURRENCY',
    { min: 1, max: 10_000 },
    {
      help: 'Attempts under way at once per process. How many of them a destination takes, its document says; it never gets more than half.',
      fallback: '128',
    },
  ),
  deliveryPollMs: integer(
    'DELIVERY_POLL_MS',
    { min: 10, max: 60_000 },
    {
      help: 'How often a process looks for retries that are due and for what other processes left behind; new deliveries start at once.',
      fallback: '500',
    },
  ),
  deliveryLeaseMs: integer(
    'DELIVERY_LEASE_MS',
    { min: 1_000, max: 300_000 },
    {
      help: 'How long a delivery stays claimed after its process was last heard of; it is renewed while an attempt is under way.',
      fallback: '15000',
    },
  ),
  deliveryStopMs: integer(
    'DELIVERY_STOP_MS',
    { min: 0, max: 120_000 },
    {
      help: 'How long a stopping process waits for attempts under way before it breaks them off; they are made again elsewhere.',
      fallback: '10000',
    },
  ),
  deliveryBreakerOpenMs: integer(
    'DELIVERY_BREAKER_OPEN_MS',
    { min: 10, max: 600_000 },
    {
      help: 'How long a destination that fails is left alone before it is probed; each time in a row twice as long, drawn up to 20 % longer or shorter.',
      fallback: '5000',
    },
  ),
  deliveryBreakerLongestOpenMs: integer(
    'DELIVERY_BREAKER_LONGEST_OPEN_MS',
    { min: 10, max: 3_600_000 },
    { help: 'The longest such time.', fallback: '120000' },
  ),
  allowPrivateAddresses: flag('DELIVERY_ALLOW_PRIVATE_ADDRESSES', {
    help: 'Lets destinations be at loopback, private and other inner addresses. Only where every tenant is trusted.',
    fallback: 'false',
  }),
};

export const connectorsSettings = {
  ...serviceSettings,
  ...own,
};

/** The settings of the module; the rest of the table belongs to the process. */
export type ConnectorsOptions = Settings<typeof own>;
