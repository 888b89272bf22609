export { SettingsInvalid, flag, integer, key, keys, list, oneOf, optionalText, readSettings, text, url } from './settings.js';
export type { Settings, SettingsTable } from './settings.js';
