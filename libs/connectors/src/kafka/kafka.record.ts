import type { Json } from '#libs/json';
import type { DriverCall } from '../driver.js';
import { InputRefused } from '../operation.errors.js';

/** The input of `produce`, which fits the schema of the manifest. */
interface ProduceInput {
  readonly topic: string;
  readonly key?: string;
  readonly value?: Json;
  readonly text?: string;
  readonly base64?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly partition?: number;
}

/** The header by which a consumer recognises a record that was appended twice. */
export const effectKeyHeader = 'millrace-effect-key';

/** The longest record, in bytes: key, value and headers. */
const longestRecordBytes = 8 * 1_024 * 1_024;

/** The record as it is appended. Its timestamp is the same for every attempt. @throws InputRefused */
export function recordOf({
  input,
  settings,
  effectKey,
  firstAttemptAt,
}: Pick<DriverCall, 'input' | 'settings' | 'effectKey' | 'firstAttemptAt'>) {
  const { topic, partition, key, headers = {}, ...contents } = input as unknown as ProduceInput;
  requireListed(topic, settings['topics'] as readonly string[] | undefined);
  const own = Object.keys(headers).find((name) => name.toLowerCase() === effectKeyHeader);
  if (own !== undefined) throw new InputRefused(`input.headers.${own} is set by Millrace`);
  const record = {
    topic,
    partition,
    key: key === undefined ? null : bytesOf(key, 'input.key'),
    value: valueOf(contents),
    headers: Object.fromEntries([
      ...Object.entries(headers).map(([name, text]) => [name, bytesOf(text, `input.headers.${name}`).toString('utf8')] as const),
      [effectKeyHeader, effectKey],
    ]),
    timestampMs: firstAttemptAt.getTime(),
  };
  const headerBytes = Object.entries(record.headers).reduce((sum, [name, text]) => sum + name.length + Buffer.byteLength(text), 0);
  const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0) + headerBytes;
  if (bytes > longestRecordBytes) throw new InputRefused(`The record has ${bytes} bytes; at most ${longestRecordBytes} are sent`);
  return record;
}

/** @throws InputRefused */
function requireListed(topic: string, topics: readonly string[] | undefined): void {
  if (topics === undefined || topics.includes(topic)) return;
  throw new InputRefused(
    `input.topic is none of the topics of the connection: ${topic} (its setting \`topics\` has ${topics.slice(0, 20).join(', ')})`,
  );
}

/** @throws InputRefused */
function valueOf({ value, text, base64 }: Pick<ProduceInput, 'value' | 'text' | 'base64'>): Buffer | null {
  if ([value, text, base64].filter((given) => given !== undefined).length !== 1)
    throw new InputRefused('The record has one of input.value, input.text and input.base64; `value: null` is a record without a value');
  if (value !== undefined) return value === null ? null : Buffer.from(JSON.stringify(value));
  if (text !== undefined) return bytesOf(text, 'input.text');
  const bytes = Buffer.from(base64!, 'base64');
  if (bytes.toString('base64') !== base64) throw new InputRefused('input.base64 is no Base64 (RFC 4648 §4)');
  return bytes;
}

/** @throws InputRefused */
function bytesOf(text: string, field: string): Buffer {
  if (!text.isWellFormed()) throw new InputRefused(`${field} is no text: half of a character is missing`);
  return Buffer.from(text);
}
