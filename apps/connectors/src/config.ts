import { flag, integer } from '#libs/config';
import type { Settings } from '#libs/config';
import { serviceSettings } from '#libs/service';

const own = {
  deliveryConcurrency: integer(
    'DELIVERY_CONCURRENCY',
    { min: 1, max: 10_000 },
    { help: 'Attempts under way at once per process.', fallback: '128' },
  ),
  deliveryConcurrencyPerDestination: integer(
    'DELIVERY_CONCURRENCY_PER_DESTINATION',
    { min: 1, max: 1_000 },
    { help: 'How many of them may be to one destination, so that one that hangs leaves room for the others.', fallback: '16' },
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
  allowPrivateAddresses: flag('DELIVERY_ALLOW_PRIVATE_ADDRESSES', {
    help: 'Lets destinations be at loopback, private and other inner addresses. Only where every tenant is trusted.',
    fallback: 'false',
  }),
};

export const connectorsSettings = {
  ...serviceSettings,
  ...own,
};

/** What the module itself needs; the rest of the table is the process's. */
export type ConnectorsOptions = Settings<typeof own>;
