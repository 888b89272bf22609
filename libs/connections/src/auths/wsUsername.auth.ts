import { hash, randomBytes } from 'node:crypto';
import { clearText } from '#libs/contracts';
import type { Credential } from '../credential.js';

const security = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
/** The header that envelopes have for credentials. No value in an envelope can read so: `<` is escaped there. */
const emptyHeader = '<soap:Header></soap:Header>';

/** UsernameToken Profile 1.1: https://docs.oasis-open.org/wss/v1.1/wss-v1.1-spec-os-UsernameTokenProfile.pdf */
export const wsUsernameAuth: Credential<'wsUsername'> = (request, auth, now) => {
  const password = clearText(auth.password);
  const nonce = randomBytes(16);
  const created = now.toISOString();
  const isDigest = auth.passwordType === 'digest';
  const proof = isDigest ? hash('sha1', Buffer.concat([nonce, Buffer.from(created + password, 'utf8')]), 'base64') : escaped(password);
  const token = [
    `<wsse:Security xmlns:wsse="${security}-wssecurity-secext-1.0.xsd" xmlns:wsu="${security}-wssecurity-utility-1.0.xsd" soap:mustUnderstand="1">`,
    `<wsse:UsernameToken><wsse:Username>${escaped(auth.username)}</wsse:Username>`,
    `<wsse:Password Type="${security}-username-token-profile-1.0#Password${isDigest ? 'Digest' : 'Text'}">${proof}</wsse:Password>`,
    `<wsse:Nonce EncodingType="${security}-soap-message-security-1.0#Base64Binary">${nonce.toString('base64')}</wsse:Nonce>`,
    `<wsu:Created>${created}</wsu:Created></wsse:UsernameToken></wsse:Security>`,
  ].join('');
  const { body } = request;
  if (typeof body !== 'string' || !body.includes(emptyHeader)) throw new Error('A UsernameToken can be put into SOAP envelopes only');
  return {
    ...request,
    body: body.replace(emptyHeader, () => `<soap:Header>${token}</soap:Header>`),
    secrets: [password, proof],
  };
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"'\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`);
}
