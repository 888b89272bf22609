export {
  SettingsInvalid,
  fileVariable,
  flag,
  integer,
  key,
  keys,
  list,
  oneOf,
  optionalBearerKey,
  optionalFile,
  optionalText,
  origins,
  readSettings,
  text,
  url,
  urls,
} from './settings.js';
export type { Settings, SettingsTable } from './settings.js';
