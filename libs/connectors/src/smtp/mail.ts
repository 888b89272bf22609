import { hash } from 'node:crypto';
import { domainToASCII } from 'node:url';
import MailComposer from 'nodemailer/lib/mail-composer';
import type { SMTPEnvelope } from 'nodemailer/lib/smtp-connection';
import type { Json } from '#libs/json';
import { InputRefused } from '../operation.errors.js';

type Address = string | { readonly address: string; readonly name?: string };

/** The input of `send`, which fits the schema of the manifest. */
export interface MailInput {
  readonly to: Address | readonly Address[];
  readonly cc?: Address | readonly Address[];
  readonly bcc?: Address | readonly Address[];
  readonly from?: Address;
  readonly replyTo?: Address;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly dsn?: { readonly notify: readonly string[] };
}

/** A mail as it is sent. */
export interface Mail {
  readonly messageId: string;
  readonly content: Buffer;
  readonly envelope: SMTPEnvelope & { readonly to: string[] };
}

/** The parts of a mail that do not stand in its input. */
export interface MailOrigin {
  readonly settings: { readonly [name: string]: Json };
  readonly effectKey: string;
  readonly date: Date;
}

interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** The longest mail, in bytes of its encoded form. */
const longestMailBytes = 10 * 1_024 * 1_024;
const mostRecipients = 100;

/** Headers that a mail may bring along. Those of the addresses, the subject, the date and the content are made here. */
const allowedHeaders =
  /^(?:x-[a-z0-9-]{1,60}|auto-submitted|feedback-id|importance|in-reply-to|list-id|list-unsubscribe|list-unsubscribe-post|precedence|references)$/i;
/** A dot-atom (RFC 5322 §3.2.3). Quoted local parts are legal, not in use, and read differently by different servers. */
const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const domainName = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Makes the mail. Its Message-ID and its date are the same for every repeat. @throws InputRefused */
export async function mailOf(input: MailInput, { settings, effectKey, date }: MailOrigin): Promise<Mail> {
  const from = senderOf(input, settings);
  const [to, cc, bcc] = [mailboxes(input.to, 'to'), mailboxes(input.cc, 'cc'), mailboxes(input.bcc, 'bcc')];
  const recipients = [...new Set([...to, ...cc, ...bcc].map(({ address }) => address))];
  if (recipients.length > mostRecipients) throw new InputRefused(`The mail has ${recipients.length} recipients; at most ${mostRecipients}`);
  const messageId = messageIdOf(effectKey, messageDomainOf(settings) ?? domainOf(from));
  const content = await new MailComposer({
    from,
    to,
    cc,
    ...(input.replyTo === undefined ? {} : { replyTo: mailbox(input.replyTo, 'replyTo') }),
    subject: line(input.subject, 'subject'),
    ...(input.text === undefined ? {} : { text: wellFormed(input.text, 'text') }),
    ...(input.html === undefined ? {} : { html: wellFormed(input.html, 'html') }),
    headers: headersOf(input.headers ?? {}),
    messageId,
    date,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
  if (content.length > longestMailBytes) throw new InputRefused(`The mail is larger than ${longestMailBytes} bytes`);
  return {
    messageId,
    content,
    envelope: {
      from: from.address,
      to: recipients,
      size: content.length,
      ...(input.dsn === undefined ? {} : { dsn: { ret: 'HDRS', envid: idOf(effectKey), notify: upperCased(input.dsn.notify) } }),
    },
  };
}

/** The name by which the server is greeted: that of this side of the connection, not of the process. */
export function greetingName(settings: MailOrigin['settings']): string {
  const { from } = settings;
  return messageDomainOf(settings) ?? (typeof from === 'string' && from.includes('@') ? domainOf(mailbox(from, 'from')) : 'localhost');
}

function senderOf({ from }: MailInput, settings: MailOrigin['settings']): Mailbox {
  const given = from ?? (settings['from'] as string | undefined);
  if (given === undefined) throw new InputRefused('The mail has no sender: give `from`, or set `from` in the settings of the connection');
  return mailbox(given, 'from');
}

function messageDomainOf(settings: MailOrigin['settings']): string | undefined {
  return settings['messageDomain'] as string | undefined;
}

function domainOf({ address }: Mailbox): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

function messageIdOf(effectKey: string, domain: string): string {
  return `<${idOf(effectKey)}@${domain}>`;
}

/** The effect key, or its hash if it holds characters that an id cannot have. */
function idOf(effectKey: string): string {
  return /^[A-Za-z0-9_-]{1,100}$/.test(effectKey) ? effectKey : hash('sha256', effectKey);
}

function upperCased(words: readonly string[]): string[] {
  return words.map((word) => word.toUpperCase());
}

function mailboxes(given: Address | readonly Address[] | undefined, field: string): Mailbox[] {
  if (given === undefined) return [];
  const list = Array.isArray(given) ? (given as readonly Address[]) : [given as Address];
  return list.map((one, at) => mailbox(one, list.length === 1 ? field : `${field}.${at}`));
}

/** Only a checked address becomes one: a mailer that parses texts takes `b@x>\r\nRCPT TO:<c@y` for two recipients. @throws InputRefused */
function mailbox(given: Address, field: string): Mailbox {
  const { address, name = '' } = typeof given === 'string' ? { address: given } : given;
  const at = address.lastIndexOf('@');
  const [local, domain] = [address.slice(0, Math.max(0, at)), domainToASCII(address.slice(at + 1))];
  if (local.length > 64 || !localPart.test(local) || !domainName.test(domain)) {
    const shown = JSON.stringify(address.slice(0, 80));
    throw new InputRefused(
      `input.${field} is no mail address: ${shown}; give one such as ada@example.com, and a name as { name, address }`,
    );
  }
  return { name: line(name, `${field}.name`), address: `${local}@${domain}` };
}

function headersOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      if (!allowedHeaders.test(name))
        throw new InputRefused(`input.headers has a name that cannot be set: ${JSON.stringify(name.slice(0, 60))}`);
      return [name, line(value, `headers.${name}`)];
    }),
  );
}

/** @throws InputRefused if the text would end its line, hide a part of it, or is none */
function line(text: string, field: string): string {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) throw new InputRefused(`input.${field} must be one line without control characters`);
  return wellFormed(text, field);
}

function wellFormed(text: string, field: string): string {
  if (!text.isWellFormed()) throw new InputRefused(`input.${field} is no text: half of a character is missing`);
  return text;
}
