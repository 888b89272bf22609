import { createRequire } from 'node:module';
import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

/** Resolves `#libs/*` to sources, so that tests never run against a stale build. */
const conditions = { conditions: ['source', ...defaultServerConditions] };
/** The copy of `graphql` that Node takes: Vite takes another one, and two copies do not know each other's types. */
const alias = [{ find: /^graphql$/, replacement: createRequire(import.meta.url).resolve('graphql') }];
/** `ssr` is where tests run, `__vitest__` where their global set-ups do. */
const sources = { resolve: { alias }, ssr: { resolve: conditions }, environments: { __vitest__: { resolve: conditions } } };

export default defineConfig({
  ...sources,
  test: {
    projects: [
      {
        ...sources,
        test: {
          name: 'unit',
          include: ['{apps,libs,tools,test/boundaries,test/chaos}/**/*.test.ts'],
          exclude: ['**/*.int.test.ts', '**/node_modules/**', '**/dist/**'],
        },
      },
      {
        ...sources,
        test: {
          name: 'integration',
          include: ['{apps,libs,tools}/**/*.int.test.ts'],
          globalSetup: ['./test/setup/postgres.ts', './test/setup/log.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...sources,
        test: {
          name: 'journeys',
          include: ['test/journeys/*.test.ts'],
          globalSetup: ['./test/setup/postgres.ts', './test/setup/log.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
