import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

/** Resolves `#libs/*` to sources, so that tests never run against a stale build. */
/** The conditions of Node: what packages offer as `module` is for bundlers, and not always a module that Node can load. */
const conditions = { conditions: ['source', ...defaultServerConditions.filter((condition) => condition !== 'module')] };
/** The copy of `graphql` that Node takes: Vite takes another one, and two copies do not know each other's types. */
const alias = [{ find: /^graphql$/, replacement: createRequire(import.meta.url).resolve('graphql') }];
/** `ssr` is where tests run, `__vitest__` where their global set-ups do. */
const sources = { resolve: { alias }, ssr: { resolve: conditions }, environments: { __vitest__: { resolve: conditions } } };

/** With the default of one worker less than there are cores, two cores would run one file at a time. */
const workers = availableParallelism();
/** Postgres and the log that the tests of a run share. */
const servers = ['./test/setup/build.ts', './test/setup/postgres.ts', './test/setup/log.ts'];

/**
 * Unit and integration tests share a worker's modules (`isolate: false`): importing them again for each file took half of the CPU time. So a test
 * undoes what it changes in a module or a global, and names its SQL statements by itself.
 */
export default defineConfig({
  ...sources,
  test: {
    tags: [
      {
        name: 'both-logs',
        description: 'The behaviour depends on the log: `npm test` runs the file on the local broker and again on a real Kafka.',
      },
    ],
    projects: [
      {
        ...sources,
        test: {
          name: 'unit',
          globalSetup: ['./test/setup/build.ts'],
          include: ['{apps,libs,tools,test/bench,test/boundaries,test/chaos,test/drills,test/red-team}/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**', '**/dist/**'],
          testTimeout: 60_000,
          maxWorkers: workers,
          isolate: false,
        },
      },
      {
        ...sources,
        test: {
          name: 'integration',
          include: ['{apps,libs,tools}/**/*.int.test.ts'],
          globalSetup: servers,
          setupFiles: ['./test/setup/log-level.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: workers,
          isolate: false,
        },
      },
      {
        ...sources,
        test: {
          name: 'journeys',
          include: ['test/journeys/*.test.ts'],
          globalSetup: servers,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: workers,
        },
      },
    ],
  },
});
