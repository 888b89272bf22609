/** Who may import whom. Each rule says why; `test/boundaries` proves that each one bites. */

/** @param {string} name @param {string} why @param {object} from @param {object} to */
const forbid = (name, why, from, to) => ({ name, comment: why, severity: 'error', from, to });

const testFiles = '\\.(int\\.)?test\\.ts$|\\.conformance\\.ts$|\\.proof\\.ts$|/proofs\\.generated\\.ts$|^test/|^libs/testing/';

/** A package that one place alone may import, so that another could take its place there. */
const onlyIn = (place, ...packages) => onlyInAny([place], ...packages);

const onlyInAny = (places, ...packages) =>
  forbid(
    `${packages[0].replace(/\W/g, '-').replace(/^-/, '')}-only-in-${places[0].replace(/\W+/g, '-')}`,
    `Only ${places.join(' and ')} know ${packages.join(' and ')}; everyone else uses what they offer.`,
    { pathNot: `^(${places.join('|')})/|${testFiles}|^tools/` },
    { path: packages.map((name) => `node_modules/${name}/`) },
  );

export default {
  forbidden: [
    forbid('no-cycle', 'A cycle has no top to read from and no part that can be understood alone.', {}, { circular: true }),
    forbid('no-unresolvable', 'What cannot be resolved fails when it runs.', {}, { couldNotResolve: true }),
    forbid('libs-import-no-app', 'A lib serves every app, so it knows none.', { path: '^libs/' }, { path: '^apps/' }),
    forbid(
      'apps-import-no-app',
      'Apps meet in libs/contracts and on the log; only standalone composes them, and tests may start the fakes of what is not ours.',
      { path: '^apps/([^/]+)/', pathNot: '^apps/standalone/' },
      { path: '^apps/', pathNot: '^apps/$1/' },
    ),
    forbid(
      'libs-through-their-entry',
      'The inside of a lib can change freely because nobody outside can see it. The proofs of presets are an entry for tests.',
      { path: '^(apps|libs|tools|test)/([^/]+)/' },
      { path: '^libs/([^/]+)/src/', pathNot: '^libs/[^/]+/src/(index|proofs\\.generated|proof)\\.ts$|^$1/$2/' },
    ),
    forbid(
      'apps-through-their-entry',
      'A composition root sees a service’s module and settings, not its insides.',
      { path: '^(apps/standalone|libs|tools|test)/' },
      { path: '^apps/', pathNot: '^apps/[^/]+/src/(index|main)\\.ts$|^apps/standalone/' },
    ),
    forbid(
      'nouns-import-no-door',
      'A noun declares its operations for every door, so it knows none.',
      { path: '^apps/query/src/(?!doors/)[^/]+/', pathNot: testFiles },
      { path: '^apps/query/src/doors/' },
    ),
    forbid(
      'graphql-only-in-its-door',
      'Another door offers the same operations without GraphQL.',
      { path: '^apps/query/src/(?!doors/graphql/)', pathNot: testFiles },
      { path: 'node_modules/(graphql|graphql-ws|graphql-jit|@nestjs/graphql|@nestjs/apollo|@apollo/server)/' },
    ),
    forbid(
      'providers-stand-alone',
      'A provider can be added and removed as one folder.',
      { path: '^libs/(signatures|models)/src/providers/([^/]+)/' },
      { path: '^libs/(signatures|models)/src/providers/[^/]+/', pathNot: '^libs/$1/src/providers/$2/' },
    ),
    forbid(
      'scheme-kinds-stand-alone',
      'A kind of signature scheme can be added and removed as one file; what kinds share stands beside their folder.',
      { path: '^libs/signatures/src/schemes/([^/.]+)', pathNot: testFiles },
      { path: '^libs/signatures/src/schemes/', pathNot: '^libs/signatures/src/schemes/$1\\.' },
    ),
    forbid(
      'connectors-stand-alone',
      'A connector can be added and removed as one folder.',
      { path: '^libs/connectors/src/([^/]+)/' },
      { path: '^libs/connectors/src/[^/]+/', pathNot: '^libs/connectors/src/$1/' },
    ),
    forbid(
      'deliverers-stand-alone',
      'A kind of destination can be added and removed as one folder.',
      { path: '^libs/destinations/src/([^/]+)/' },
      { path: '^libs/destinations/src/[^/]+/', pathNot: '^libs/destinations/src/$1/' },
    ),
    forbid(
      'testing-stays-in-tests',
      'What helps a test must not run in production.',
      { path: '^(apps|libs)/', pathNot: testFiles },
      { path: '^libs/testing/|\\.(int\\.)?test\\.ts$|\\.conformance\\.ts$|\\.proof\\.ts$|/proofs?(\\.generated)?\\.ts$' },
    ),
    forbid(
      'no-dev-dependency-in-production',
      'An image built without dev dependencies must run.',
      { path: '^(apps|libs)/', pathNot: testFiles },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'contracts-import-no-edge',
      'The words of the domain know no transport and no store.',
      { path: '^libs/contracts/', pathNot: testFiles },
      { path: 'node_modules/(@nestjs|fastify|kafkajs|pg|typeorm|graphql|openai)/|^libs/(?!contracts/|json/|time/|xml/)' },
    ),
    forbid(
      'evaluations-start-fast',
      'A process for evaluations is started again after each that was killed, so it loads no more than it needs.',
      { path: '^libs/evaluation/src/evaluation\\.main\\.ts$|^libs/[^/]+/src/[^/]+\\.program\\.ts$' },
      {
        path: '^(libs/(?!(evaluation|expressions|schemas|json|lru|queues|time)/)|node_modules/(?!(jsonata|re2js|ajv|ajv-formats|fast-deep-equal|fast-uri|json-schema-traverse)/))',
        reachable: true,
      },
    ),
    forbid(
      'models-only-where-asked',
      'libs/models loads the openai package and undici, which take memory; only the service that asks models needs them.',
      { path: '^apps/(?!ai-processing/|standalone/)[^/]+/src/(index|main)\\.ts$' },
      { path: '^libs/models/', reachable: true },
    ),
    onlyIn('libs/messaging', 'kafkajs'),
    onlyInAny(['libs/persistence', 'libs/migrations', 'libs/embedded-postgres', 'libs/connectors/src/postgres'], 'pg'),
    onlyIn('libs/migrations', 'typeorm'),
    forbid(
      'openai-only-in-its-provider',
      'One model provider is built on the SDK, and no other code knows it. The local model, a server, is held to the same types.',
      { pathNot: `^libs/models/src/providers/openai/|^apps/local-model/|${testFiles}|^tools/` },
      { path: 'node_modules/openai/' },
    ),
    onlyIn('libs/tracing', 'pino', 'prom-client'),
    forbid(
      'opentelemetry-api-alone',
      'Spans need the API only. The SDK and the exporter take memory, so that a process loads them if it has a collector.',
      { pathNot: `^libs/tracing/src/recording\\.ts$|${testFiles}|^tools/` },
      { path: 'node_modules/@opentelemetry/(?!api/)' },
    ),
    forbid(
      'recording-loaded-late',
      'A process without a collector must not load the SDK, so its one importer imports it when a collector is set.',
      {},
      { path: '^libs/tracing/src/recording\\.ts$', dynamic: false, dependencyTypesNot: ['type-only'] },
    ),
    onlyIn('libs/redis', '@redis/client'),
    onlyIn('libs/connections', 'aws4', 'openid-client'),
    onlyIn('libs/connectors/src/smtp', 'nodemailer'),
    onlyIn('libs/connectors/src/mysql', 'mysql2'),
    forbid(
      'drivers-loaded-late',
      'A process without mails, databases and Kafka clusters of tenants must not load their packages, so that drivers are imported when they are first used.',
      { pathNot: testFiles },
      { path: '^libs/connectors/src/[^/]+/[^/]+\\.driver\\.ts$', dynamic: false, dependencyTypesNot: ['type-only'] },
    ),
    onlyIn('libs/expressions', 'jsonata'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'test/boundaries/fixture|/generated/|\\.kafka/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'node', 'default', 'types'] },
  },
};
