import { z } from 'zod';
import { headerSecret, headerText } from '../credential.js';

const scopePart = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 lower-case letters, digits or dashes');

export const awsSigV4Auth = z.strictObject({
  kind: z.literal('awsSigV4').describe('Requests are signed as AWS asks for (Signature Version 4).'),
  accessKeyId: headerText.min(1).describe('The id of the access key, such as `AKIA…`.'),
  secretAccessKey: headerSecret.describe('The secret access key.'),
  sessionToken: headerSecret.optional().describe('The session token of temporary credentials.'),
  region: scopePart.describe('The region of the service, such as `eu-central-1`.'),
  service: scopePart.describe('The name by which the service signs, such as `s3`, `execute-api` or `lambda`.'),
});
