import type { Credential } from '../credential.js';

export const noneAuth: Credential<'none'> = (request) => ({ ...request, secrets: [] });
