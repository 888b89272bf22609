export { SchemaInvalid, compileSchema, requireCompilable } from './compiled-schema.js';
export type { CompiledSchema, SchemaOptions } from './compiled-schema.js';
export { didYouMean, similarName, unknownKeywords } from './json-schema.js';
export { schemasOfField } from './schema-fields.js';
export type { FieldSchemas } from './schema-fields.js';
export { compileCheck } from './schema-check.js';
export type { SchemaCheck } from './schema-check.js';
