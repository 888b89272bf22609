import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { bodyFormat } from '#libs/contracts';
import { headerNames, headerValue, queryValue, rawQuery, requiredHeader } from './request.js';
import type { HeaderAliases, HeaderNames, VerifiableRequest } from './request.js';
import { ParameterMissing, PublicUrlMissing, SignatureMalformed, SignatureMismatch } from './signature.errors.js';

/** The values that the envelope of a signature has read from the headers. */
interface EnvelopeValues {
  readonly timestamp: string | undefined;
  readonly id: string | undefined;
}

type Term = (request: VerifiableRequest, values: EnvelopeValues) => string;

interface SignedTextOptions {
  readonly template: string;
  readonly idHeader: string | undefined;
  readonly aliases: HeaderAliases;
  readonly publicUrl: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
  readonly bodyDigestQuery: string | undefined;
}

const placeholder = /(\{(?:body|timestamp|id|method|url|decodedUrl|form|crc32|header\.[\w-]+|query\.[\w.-]+|parameter\.\w+)\})/;

/** The text that a provider signs, compiled from a template. A request renders only the terms that its template has. */
export class SignedText {
  private readonly before: readonly Term[];
  private readonly after: readonly Term[];
  private readonly hasBody: boolean;

  /** @throws PublicUrlMissing, ParameterMissing if the template names what the source does not have */
  constructor(private readonly options: SignedTextOptions) {
    const pieces = options.template.split(placeholder).filter((piece) => piece !== '');
    const bodyAt = pieces.indexOf('{body}');
    this.hasBody = bodyAt >= 0;
    const terms = pieces.map((piece, at) => this.termOf(piece, pieces[at + 1] ?? ''));
    this.before = this.hasBody ? terms.slice(0, bodyAt) : terms;
    this.after = this.hasBody ? terms.slice(bodyAt + 1) : [];
  }

  /**
   * @param room bytes left free before the text
   * @throws SignatureMalformed, SignatureMismatch
   */
  render(request: VerifiableRequest, values: EnvelopeValues, room: number): Buffer {
    const before = textOf(this.before, request, values);
    const after = textOf(this.after, request, values);
    const bodyAt = room + Buffer.byteLength(before);
    const bodyBytes = this.hasBody ? request.rawBody.length : 0;
    const message = Buffer.allocUnsafe(bodyAt + bodyBytes + Buffer.byteLength(after));
    message.write(before, room);
    if (this.hasBody) message.set(request.rawBody, bodyAt);
    message.write(after, bodyAt + bodyBytes);
    return message;
  }

  /** @param next the piece after this one; text in it that the value contained could be read as the end of the value */
  private termOf(piece: string, next: string): Term {
    const end = placeholder.test(next) ? '' : next;
    if (!placeholder.test(piece)) return () => piece;
    const word = piece.slice(1, -1);
    if (word.startsWith('header.')) return this.headerTerm(word.slice('header.'.length), end);
    if (word.startsWith('query.')) return queryTerm(word.slice('query.'.length), end);
    if (word.startsWith('parameter.')) return this.parameterTerm(word.slice('parameter.'.length));
    switch (word) {
      case 'timestamp':
        return (_, { timestamp }) => timestamp!;
      case 'id':
        return (_, { id }) => {
          if (!isBounded(id!, end)) throw new SignatureMalformed(`The header ${this.options.idHeader!.toLowerCase()} is not a message id`);
          return id!;
        };
      case 'method':
        return ({ method }) => method;
      case 'crc32':
        return ({ rawBody }) => String(crc32(rawBody));
      case 'url':
        return this.urlTerm();
      case 'decodedUrl':
        return decodedUrlTerm(this.urlTerm());
      case 'form':
        return (request) => this.formText(request);
      default: // {body}, which is written as bytes
        return () => '';
    }
  }

  private headerTerm(header: string, end: string): Term {
    const names: HeaderNames = headerNames(header, this.options.aliases);
    return (request) => {
      const value = requiredHeader(request, names);
      if (!isBounded(value, end)) throw new SignatureMalformed(`The header ${names[0]} cannot be part of the signed text`);
      return value;
    };
  }

  private parameterTerm(name: string): Term {
    const value = this.options.parameters[name];
    if (value === undefined) throw new ParameterMissing(name);
    return () => value;
  }

  private urlTerm(): Term {
    const { publicUrl } = this.options;
    if (publicUrl === undefined) throw new PublicUrlMissing();
    return ({ target }) => {
      const query = rawQuery(target);
      return query === '' ? publicUrl : `${publicUrl}?${query}`;
    };
  }

  private formText(request: VerifiableRequest): string {
    if (this.isCoveredByDigest(request) || request.rawBody.length === 0) return '';
    if (bodyFormat(headerValue(request, ['content-type']) ?? '') !== 'form' || !isUtf8(request.rawBody)) {
      throw new SignatureMalformed('The body is not a form, and no signed digest covers it');
    }
    return sortedFields(request.rawBody);
  }

  private isCoveredByDigest(request: VerifiableRequest): boolean {
    const name = this.options.bodyDigestQuery;
    const digest = name === undefined ? undefined : queryValue(request, name);
    if (digest === undefined) return false;
    if (digest.toLowerCase() !== hash('sha256', request.rawBody, 'hex')) throw new SignatureMismatch(); // neither of them is secret
    return true;
  }
}

function textOf(terms: readonly Term[], request: VerifiableRequest, values: EnvelopeValues): string {
  let text = '';
  for (const term of terms) text += term(request, values);
  return text;
}

/** The escapes that HubSpot decodes before it signs: those of `:/?@!$'()*,;`, and no others. */
const hubSpotEscapes = /%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi;

function decodedUrlTerm(url: Term): Term {
  return (request, values) => url(request, values).replaceAll(hubSpotEscapes, decodeURIComponent);
}

function queryTerm(name: string, end: string): Term {
  return (request) => {
    const value = queryValue(request, name);
    if (value === undefined) throw new SignatureMalformed(`The query parameter ${name} is missing`);
    if (!isBounded(value, end)) throw new SignatureMalformed(`The query parameter ${name} cannot be part of the signed text`);
    return value;
  };
}

/**
 * True if a value can stand before fixed text in the template. If it contained that text, the signed text could be cut elsewhere, and another
 * value would have the same signature.
 */
function isBounded(value: string, end: string): boolean {
  return /^[\x21-\x7e]{1,256}$/.test(value) && (end === '' || !value.includes(end));
}

/** The fields sorted by name and then by value, without separators; equal values of a name count once, as in Twilio's libraries. */
function sortedFields(body: Buffer): string {
  const fields = new Map<string, Set<string>>();
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) fields.set(name, (fields.get(name) ?? new Set()).add(value));
  let text = '';
  for (const name of [...fields.keys()].toSorted()) {
    for (const value of [...fields.get(name)!].toSorted()) text += name + value;
  }
  return text;
}
