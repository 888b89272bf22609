export { isTooDeep, maxJsonDepth } from './json.js';
export type { Json } from './json.js';
export { elementTexts, memberTexts } from './json-parts.js';
export { JsonTooDeep, scanJson } from './json-scan.js';
export { linesOf } from './lines.js';
export { canonical } from './canonical.js';
export { parseJson, parseStoredJson } from './parse-json.js';
export { LosslessNumber, asDoubles, holdsLosslessNumber, mapLosslessNumbers, numberOf } from './lossless-number.js';
