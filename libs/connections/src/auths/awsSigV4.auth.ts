import aws4 from 'aws4';
import { clearText } from '#libs/contracts';
import type { Credential } from '../credential.js';

/** Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
export const awsSigV4Auth: Credential<'awsSigV4'> = (request, auth, now) => {
  const { host, pathname, search } = new URL(request.url);
  const secretAccessKey = clearText(auth.secretAccessKey);
  const sessionToken = auth.sessionToken === undefined ? undefined : clearText(auth.sessionToken);
  const { region, service, accessKeyId } = auth;
  const signed = aws4.sign(
    {
      host,
      path: pathname + search,
      method: request.method,
      service,
      region,
      headers: { ...request.headers, 'x-amz-date': amzDate(now) },
      ...(request.body === undefined ? {} : { body: request.body as string }), // aws4 takes a Buffer too
    },
    { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  );
  const headers = Object.entries(signed.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)] as const);
  return {
    ...request,
    headers: Object.fromEntries(headers),
    secrets: [secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken])],
  };
};

/** ISO 8601 in its basic form, such as `20150830T123600Z`. */
function amzDate(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
}
