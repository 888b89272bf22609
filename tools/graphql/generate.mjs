// Writes what derives from the SDL of apps/query: the TypeScript types of its resolvers, and docs/schema.graphql.
import { writeFileSync } from 'node:fs';
import { codegen } from '@graphql-codegen/core';
import * as typescript from '@graphql-codegen/typescript';
import * as typescriptResolvers from '@graphql-codegen/typescript-resolvers';
import { Kind, buildASTSchema, parse, print, visit } from 'graphql';
import { internalValue } from '../../apps/query/src/graphql/enum-values.ts';
import { readSdl } from '../../apps/query/src/graphql/sdl.ts';

/** What a resolver gets as its parent: the row that stands for the type. */
const rows = {
  Event: '../events/event.table.js#EventRow',
  Customer: '../customers/customer.table.js#CustomerRow',
  Run: '../runs/run.table.js#RunRow',
  Decision: '../runs/run.table.js#RunRow',
  Step: '../runs/run.table.js#StepRow',
  ModelAttempt: '../runs/run.table.js#ModelAttemptRow',
  Delivery: '../deliveries/delivery.table.js#DeliveryRow',
  Attempt: '../deliveries/delivery.table.js#AttemptRow',
  DeadLetter: '../dead-letters/dead-letter.table.js#DeadLetterRow',
  BulkOperation: '../bulk-operations/bulk-operation.table.js#BulkOperationRow',
  Destination: '../destinations/destination.table.js#DestinationRow',
  Hold: '../dead-letters/hold.table.js#HoldRow',
  Document: '../documents/document.service.js#DocumentRow',
  ApiKey: '../api-keys/api-key.service.js#ApiKeyRow',
  TimelineEntry: '../timeline/timeline.table.js#TimelineRow',
  EventConnection: '../events/event.table.js#EventPage',
  CustomerConnection: '../customers/customer.table.js#CustomerPage',
  RunConnection: '../runs/run.table.js#RunPage',
  DeliveryConnection: '../deliveries/delivery.table.js#DeliveryPage',
  DeadLetterConnection: '../dead-letters/dead-letter.table.js#DeadLetterPage',
  BulkOperationConnection: '../bulk-operations/bulk-operation.table.js#BulkOperationPage',
};

const document = merged(parse(readSdl()));
buildASTSchema(document); // throws where the SDL is not valid
const outputs = {
  'apps/query/src/generated/schema.ts': await resolverTypes(),
  'docs/schema.graphql': `${print(document)}\n`,
};

for (const [path, text] of Object.entries(outputs)) writeFileSync(path, text);

/** One definition per root type, so that a reader of the printed SDL finds every query in one place. */
function merged({ definitions, ...rest }) {
  const extensions = definitions.filter((definition) => definition.kind === Kind.OBJECT_TYPE_EXTENSION);
  const whole = definitions
    .filter((definition) => !extensions.includes(definition))
    .map((definition) => {
      const added = extensions
        .filter((extension) => extension.name.value === definition.name?.value)
        .flatMap((extension) => extension.fields);
      return added.length === 0 ? definition : { ...definition, fields: [...(definition.fields ?? []), ...added] };
    });
  return { ...rest, definitions: whole };
}

/** Resolvers see enum values as the rest of the code writes them. */
function withInternalEnumValues(node) {
  const renamed = (value) => ({ ...value, value: internalValue(value.value) });
  return visit(node, {
    EnumValueDefinition: (definition) => ({ ...definition, name: renamed(definition.name) }),
    EnumValue: renamed,
  });
}

function resolverTypes() {
  const config = {
    useTypeImports: true,
    enumsAsTypes: true,
    scalars: { DateTime: 'Date', JSON: 'unknown', ID: 'string' },
    avoidOptionals: { field: true, defaultValue: true },
    makeResolverTypeCallable: true,
    contextType: '../graphql/context.js#QueryContext',
    mappers: rows,
    useIndexSignature: false,
    showUnusedMappers: true,
  };
  return codegen({
    filename: 'schema.ts',
    schema: withInternalEnumValues(document),
    documents: [],
    pluginMap: { typescript, typescriptResolvers },
    plugins: [{ typescript: {} }, { typescriptResolvers: {} }],
    config,
  });
}
