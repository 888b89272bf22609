export { querySettings } from './config.js';
export { QueryModule } from './query.module.js';
export { contractSdl } from './doors/graphql/contract.js';
export { contractOperations } from './operations/operation-runner.js';
