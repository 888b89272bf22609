/** The rights of an API key. `ingest`: push events; `read`: query; `operate`: replay, redeliver; `review`: decide reviews; `admin`: documents and keys. */
export const scopes = ['ingest', 'read', 'operate', 'review', 'admin'] as const;
export type Scope = (typeof scopes)[number];
