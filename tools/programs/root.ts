import { findPackageJSON } from 'node:module';

/** The root of the checkout, from sources and from `dist`. */
export const root = findPackageJSON(import.meta.url)!.replace(/package\.json$/, '');
