export { connectorDoubts, connectorProblems, usesConnector } from './connector-problems.js';
export type { AllowedAddresses } from './connector-problems.js';
export { doubtsAbout, readAs, readDocument, uncompilable, uncompilableParts, unknownReferences } from './document-problems.js';
export type { DocumentProblem } from './document-problem.js';
export { FlowCalls } from './flow-calls.js';
export { modelChosenAddresses } from './model-chosen-addresses.js';
export { documentIdOf, repeatedDocument } from './repeated-documents.js';
export { unlistedModels } from './unlisted-models.js';
export type { ModelList } from './unlisted-models.js';
