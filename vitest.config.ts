import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

/** Resolves `#libs/*` to sources, so that tests never run against a stale build. */
const sources = { resolve: { conditions: ['source', ...defaultServerConditions] } };

export default defineConfig({
  ssr: sources,
  test: {
    projects: [
      {
        ssr: sources,
        test: { name: 'unit', include: ['{apps,libs,tools}/**/*.test.ts'], exclude: ['**/*.int.test.ts', '**/node_modules/**', '**/dist/**'] },
      },
      {
        ssr: sources,
        test: {
          name: 'integration',
          include: ['{apps,libs,tools}/**/*.int.test.ts'],
          globalSetup: ['./test/setup/postgres.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
