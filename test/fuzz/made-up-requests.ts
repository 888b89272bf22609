import type { SeededRandom } from '#libs/testing';
import { providers } from '#libs/signatures';
import type { ProviderPreset } from '#libs/signatures';
import { bodyText, jsonHeaders } from '../../libs/signatures/src/proof.js';
import type { PresetProof } from '../../libs/signatures/src/proof.js';
import { proofs } from '../../libs/signatures/src/proofs.generated.js';

export type PresetName = keyof typeof providers;
export const presetNames = Object.keys(providers) as PresetName[];

/** A request for a source of a preset that nobody signed as it is. */
export interface MadeUpRequest {
  readonly preset: PresetName;
  /** How it was made, for the report. */
  readonly manner: string;
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly rawBody: Buffer;
}

type Request = Pick<MadeUpRequest, 'target' | 'rawHeaders' | 'rawBody'>;

/** A request as the provider of a preset sends it. */
interface Genuine extends Request {
  /** The names of the headers of the signature. */
  readonly signatureHeaders: readonly string[];
}

const ids = ['msg_1', 'msg_2b7fJc0XhPq', '0', 'WH-7MU294299R542214K'];

/** Draws requests. Signatures are made in advance, because most of the time of a run should go to the verifiers. */
export class MadeUpRequests {
  private readonly genuine: ReadonlyMap<PresetName, readonly Genuine[]>;
  private readonly foreign: ReadonlyMap<PresetName, readonly Genuine[]>;
  private readonly untimely: ReadonlyMap<PresetName, readonly Genuine[]>;

  /** @param nowMs the time at which the requests are received */
  constructor(
    private readonly random: SeededRandom,
    nowMs: number,
  ) {
    const days = [-400, -2, 2, 400].map((day) => nowMs + day * 86_400_000);
    this.genuine = each((name) => signedBy(name, 0, [nowMs]));
    this.foreign = each((name) => signedBy(name, 1, [nowMs]));
    this.untimely = each((name) => (isTimed(providers[name]) ? signedBy(name, 0, days) : []));
  }

  draw(): MadeUpRequest {
    for (;;) {
      const preset = this.random.pick(presetNames);
      const genuine = this.random.pick(this.genuine.get(preset)!);
      const [manner, make] = this.random.pick(this.manners);
      const made = make.call(this, preset, genuine);
      if (made !== undefined && !meansTheSame(preset, genuine, made)) return { preset, manner, method: 'POST', ...made };
    }
  }

  private readonly manners: readonly (readonly [string, (preset: PresetName, genuine: Genuine) => Request | undefined])[] = [
    ['noise', (_, genuine) => this.noise(genuine)],
    ['a header changed', (_, genuine) => this.withHeader(genuine, (value) => this.changed(value))],
    ['a header in another encoding', (_, genuine) => this.withHeader(genuine, (value) => this.rewritten(value))],
    ['a header replaced', (_, genuine) => this.withHeader(genuine, () => this.text(80))],
    ['a header left out', (_, genuine) => this.withoutHeader(genuine)],
    ['a header doubled', (_, genuine) => this.withHeaderTwice(genuine)],
    ['the body changed', (_, genuine) => ({ ...genuine, rawBody: this.changedBytes(genuine.rawBody) })],
    ['the query changed', (_, genuine) => ({ ...genuine, target: `${genuine.target.split('?')[0]}?${this.text(40)}` })],
    ['another secret', (preset) => this.random.pick(this.foreign.get(preset)!)],
    ['another time', (preset) => this.untimely.get(preset)!.at(this.random.below(4))],
    ['the signature of another provider', (preset, genuine) => this.withForeignSignature(preset, genuine)],
    [
      'the body of another request',
      (_, genuine) => ({ ...genuine, rawBody: this.random.pick(this.genuine.get(this.random.pick(presetNames))!).rawBody }),
    ],
  ];

  private noise({ signatureHeaders }: Genuine): Request {
    const names = [...signatureHeaders, 'content-type', 'authorization', 'x-forwarded-for'].filter(() => this.random.below(4) > 0);
    return {
      target: `/?${this.text(40)}`,
      rawHeaders: names.flatMap((name) => [name, this.text(120)]),
      rawBody: Buffer.from(this.text(200)),
    };
  }

  private withHeader(genuine: Genuine, change: (value: string) => string): Request | undefined {
    const at = this.headerAt(genuine);
    if (at === undefined) return undefined;
    return { ...genuine, rawHeaders: genuine.rawHeaders.with(at + 1, change(genuine.rawHeaders[at + 1]!)) };
  }

  private withoutHeader(genuine: Genuine): Request | undefined {
    const at = this.headerAt(genuine);
    return at === undefined ? undefined : { ...genuine, rawHeaders: genuine.rawHeaders.toSpliced(at, 2) };
  }

  private withHeaderTwice(genuine: Genuine): Request | undefined {
    const at = this.headerAt(genuine);
    if (at === undefined) return undefined;
    const value = genuine.rawHeaders[at + 1]!;
    return {
      ...genuine,
      rawHeaders: [...genuine.rawHeaders, genuine.rawHeaders[at]!, this.random.below(2) === 0 ? value : this.changed(value)],
    };
  }

  /** The headers of another provider’s signature, under their own names and, as far as there are some, under those that are expected. */
  private withForeignSignature(preset: PresetName, genuine: Genuine): Request | undefined {
    const other = this.random.pick(presetNames.filter((name) => name !== preset));
    const { rawHeaders, signatureHeaders } = this.random.pick(this.genuine.get(other)!);
    const values = signatureHeaders.map((name) => rawHeaders[rawHeaders.indexOf(name) + 1]!);
    if (values.length === 0 || genuine.signatureHeaders.length === 0) return undefined;
    return {
      ...genuine,
      rawHeaders: [...rawHeaders, ...genuine.signatureHeaders.flatMap((name) => [name, this.random.pick(values)])],
    };
  }

  private headerAt({ rawHeaders, signatureHeaders }: Genuine): number | undefined {
    return signatureHeaders.length === 0 ? undefined : rawHeaders.indexOf(this.random.pick(signatureHeaders));
  }

  /** One or some characters changed, left out or put in. */
  private changed(value: string): string {
    const at = this.random.below(value.length + 1);
    const dropped = this.random.below(3);
    return value.slice(0, at) + this.text(3).slice(this.random.below(2)) + value.slice(at + dropped);
  }

  private changedBytes(bytes: Buffer): Buffer {
    const changed = Buffer.from(bytes);
    for (let left = 1 + this.random.below(3); left > 0 && changed.length > 0; left -= 1) {
      changed[this.random.below(changed.length)] = this.random.below(256);
    }
    const end = this.random.below(4) === 0 ? this.random.below(changed.length + 1) : changed.length;
    return this.random.below(8) === 0 ? Buffer.concat([changed, Buffer.from(this.text(10))]) : changed.subarray(0, end);
  }

  /** The longest run of digits in the other encoding, the other case, base64url or with white space. */
  private rewritten(value: string): string {
    const run = (value.match(/[A-Za-z0-9+/]{8,}=*/g) ?? []).toSorted((a, b) => b.length - a.length)[0] ?? value;
    const bytes = Buffer.from(run, /^[0-9a-f]+$/i.test(run) ? 'hex' : 'base64');
    const forms = [
      bytes.toString('base64'),
      bytes.toString('base64url'),
      bytes.toString('latin1').slice(0, 40),
      `${run}=`,
      ` ${run}`,
      `${run},${run}`,
      run.slice(0, -1),
      run.replaceAll(/../g, (two) => two[0]!.toUpperCase() + two[1]!.toLowerCase()),
    ];
    return value.replace(run, () => this.random.pick(forms));
  }

  private text(longest: number): string {
    const length = this.random.below(longest + 1);
    const alphabet = this.random.pick(alphabets);
    let text = '';
    for (let at = 0; at < length; at += 1) text += alphabet[this.random.below(alphabet.length)];
    return text;
  }
}

const alphabets = [
  '0123456789abcdef',
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=',
  '0123456789',
  ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~abcxyz0',
  't=,v1=;sha256=:{}[]"',
];

function each<T>(make: (name: PresetName) => T): ReadonlyMap<PresetName, T> {
  return new Map(presetNames.map((name) => [name, make(name)]));
}

function signedBy(name: PresetName, secretAt: 0 | 1, times: readonly number[]): Genuine[] {
  const proof: PresetProof = proofs[name];
  const { secret, key = secret } = proof.secrets[secretAt];
  return proof.samples.flatMap((sample) =>
    times.map((atMs, at) => {
      const { headers, body, target = '/' } = proof.sign({ body: bodyText(sample), id: ids[at % ids.length]!, atMs, key });
      const rawHeaders = [...Object.entries(sample.headers ?? jsonHeaders), ...Object.entries(headers)].flat();
      return { target, rawHeaders, rawBody: Buffer.from(body), signatureHeaders: Object.keys(headers) };
    }),
  );
}

function isTimed({ scheme }: ProviderPreset): boolean {
  return (
    ('timestampField' in scheme && scheme.timestampField !== undefined) || ('template' in scheme && scheme.template.includes('{timestamp}'))
  );
}

/** True if what the signature of a preset covers was left as it was, so that the request may be accepted. */
function meansTheSame(name: PresetName, { target, rawHeaders, rawBody, signatureHeaders }: Genuine, made: Request): boolean {
  const { scheme }: ProviderPreset = providers[name];
  const list = 'list' in scheme ? scheme.list : undefined;
  const areSigned = signatureHeaders.every((header) => {
    const [genuine] = valuesOf(rawHeaders, header);
    const [value, ...more] = valuesOf(made.rawHeaders, header);
    return value !== undefined && more.length === 0 && (value === genuine || (list !== undefined && holdsEntries(value, genuine!, list)));
  });
  if (!areSigned) return false;
  const usesQuery =
    (scheme.kind === 'token' && scheme.query !== undefined) || ('template' in scheme && /\{(?:url|decodedUrl|query)/.test(scheme.template));
  if (usesQuery && queryOf(target) !== queryOf(made.target)) return false;
  if (scheme.kind === 'token') return true;
  if (scheme.kind === 'fields') return signedValues(scheme, rawBody) === signedValues(scheme, made.rawBody);
  if ('template' in scheme && scheme.template.includes('{form}')) return fieldsOf(rawBody) === fieldsOf(made.rawBody);
  return rawBody.equals(made.rawBody);
}

export function queryOf(target: string): string {
  return target.includes('?') ? target.slice(target.indexOf('?') + 1) : '';
}

function valuesOf(rawHeaders: readonly string[], header: string): string[] {
  return rawHeaders.flatMap((one, at) => (at % 2 === 0 && one === header ? [rawHeaders[at + 1]!] : []));
}

/** True if a list has all entries of the genuine one, and no other timestamp: entries of unknown versions are passed over. */
function holdsEntries(
  value: string,
  genuine: string,
  { separator, keyValue, timestamp }: { separator: string; keyValue: string; timestamp?: string | undefined },
): boolean {
  const entries = value.split(separator);
  const timestamps = entries.filter((entry) => entry.startsWith(`${timestamp}${keyValue}`));
  return genuine.split(separator).every((entry) => entries.includes(entry)) && timestamps.length <= 1;
}

function fieldsOf(body: Buffer): string {
  return [...new URLSearchParams(body.toString('utf8'))]
    .map(([name, value]) => `${name}${value}`)
    .toSorted()
    .join('');
}

interface SignedFields {
  readonly each?: string | undefined;
  readonly signature: string;
  readonly signed: readonly string[];
}

/** A value as a scheme signs it. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** The signed values and signatures of a body; of what is no JSON, a text of its own. */
function signedValues({ each: list, signature, signed }: SignedFields, body: Buffer): string {
  const at = (value: unknown, path: string): unknown =>
    path.split('.').reduce((found, part) => (found as Record<string, unknown> | null | undefined)?.[part], value);
  try {
    const value = JSON.parse(body.toString('utf8')) as unknown;
    const carriers = list === undefined ? [value] : at(value, list);
    if (!Array.isArray(carriers)) return 'no carriers';
    return JSON.stringify(carriers.map((carrier) => [signature, ...signed].map((path) => textOf(at(carrier, path)))));
  } catch {
    return 'no JSON';
  }
}
