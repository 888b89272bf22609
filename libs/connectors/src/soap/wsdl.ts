import { builtInSpec } from '#libs/contracts';
import type { ConnectorDocument, ConnectorOperation, ConnectorSpec, ErrorRule, WsdlSource } from '#libs/contracts';
import type { Json } from '#libs/json';
import { builtInConnectors } from '../built-in.js';
import type { OperationScope, RequestParts } from '../connector.js';
import { DescriptionRefused, OperationLeftOut, asOperationName, listed, mostOperations, withSetting } from '../description.js';
import type { JsonSchema } from '../description.js';
import type { Response } from '../exchange.js';
import { InputRefused } from '../operation.errors.js';
import { didYouMean } from '#libs/schemas';
import { XmlRefused, parsedXml } from '#libs/xml';
import { envelopeRequest } from './envelope.js';
import { ShapeSchema, mostOfConnector } from './shape.schema.js';
import type { ShapeSchemaOptions } from './shape.schema.js';
import { elementText, elementValue } from './shape.xml.js';
import { portOf } from './wsdl.document.js';
import type { WsdlOperation } from './wsdl.document.js';
import type { ElementShape, TypeShape } from './xsd.shape.js';
import { XmlNode } from './xml-tree.js';

type GivenSpec = ConnectorDocument['spec'];
type Declared = WsdlSource['operations'][string];

/** The code of an operation that a WSDL describes. */
export interface EnvelopeCode {
  /** @throws InputRefused */
  readonly make: (scope: OperationScope) => RequestParts;
  /** The output in the text of an answer that is no fault. @throws XmlRefused */
  readonly read: (text: string) => Json;
  /** The flaw of an answer that is no envelope, as words of a sentence. */
  readonly flawOf: (response: Response) => string | undefined;
}

const noEnvelope = 'an answer that is no SOAP envelope';
/** The rule behind all others of a test of a connection: whatever is at the address, it is not the service. */
const onlyEnvelopes: ErrorRule = { when: '$not($exists(response.body.Envelope.Body))', is: 'transient' };

/** The operation that a test of a connection sends. */
export interface WsdlCheck {
  readonly operation: string;
  /** In the place of those of the connector. */
  readonly errors: readonly ErrorRule[];
}

const codes = new WeakMap<ConnectorOperation, EnvelopeCode>();
const checks = new WeakMap<ConnectorSpec, WsdlCheck>();

/** The code of an operation, if a WSDL describes it. */
export function envelopeCodeOf(operation: ConnectorOperation): EnvelopeCode | undefined {
  return codes.get(operation);
}

/** The test of the connections of a connector, if a WSDL describes it and the document names an operation for it. */
export function wsdlCheckOf(spec: ConnectorSpec): WsdlCheck | undefined {
  return checks.get(spec);
}

/** The connector of a WSDL. @throws DescriptionRefused */
export function specOfWsdl(given: GivenSpec, source: WsdlSource): ConnectorSpec {
  const { wsdl: _, openapi: __, ...own } = given;
  const { address, operations, leftOut } = portOf(source.document, source);
  const { made, reasons } = madeOperations(operations, source);
  const notSent = new Map([...reasons, ...[...leftOut].map(([name, why]) => [asOperationName(name), why] as const)]);
  const names = [...new Set([...operations.map(({ name }) => name), ...leftOut.keys()].map(asOperationName))];
  requireWanted(source, { names, made, reasons: notSent });
  const soap = builtInConnectors().get('soap')!;
  const hasOtherRequests = given.operations !== undefined || given.health !== undefined; // which are no envelopes
  const known = address !== undefined && /^https?:\/\//.test(address) && URL.canParse(address) ? new URL(address) : undefined;
  const base = {
    type: 'string',
    description: 'The address of the service.',
    ...(known === undefined ? {} : { default: known.href }),
  };
  const notes =
    source.only === undefined ? [...leftOut, ...reasons].map(([name, why]) => `Left out: ${name}, because it ${why}`.slice(0, 300)) : [];
  const spec = {
    ...own,
    base: given.base ?? '{settings.base}',
    hosts: given.hosts ?? [known?.hostname ?? '*'],
    settings: given.base === undefined ? withSetting(given.settings, 'base', base) : given.settings,
    auth: given.auth ?? soap.auth.filter(({ kind }) => kind !== 'wsUsername' || !hasOtherRequests),
    errors: [...given.errors, ...soap.errors],
    message: given.message ?? soap.message,
    limits: [...given.limits, ...notes].slice(0, 20),
    operations: { ...Object.fromEntries([...made].map(([name, { operation }]) => [name, operation])), ...given.operations },
  };
  const { data, error } = builtInSpec.safeParse(spec);
  if (error !== undefined) {
    const { path, message } = error.issues[0]!;
    throw new DescriptionRefused(path.map(String), message);
  }
  for (const [name, { code }] of made) if (!Object.hasOwn(given.operations ?? {}, name)) codes.set(data.operations[name]!, code);
  if (source.check !== undefined) checks.set(data, checkIn(source.check, data));
  return data;
}

interface Made {
  readonly operation: object;
  readonly code: EnvelopeCode;
}

function madeOperations(
  operations: readonly WsdlOperation[],
  source: WsdlSource,
): { made: Map<string, Made>; reasons: Map<string, string> } {
  const made = new Map<string, Made>();
  const reasons = new Map<string, string>();
  const budget = { left: mostOfConnector };
  for (const found of operations) {
    const name = asOperationName(found.name);
    if (source.only?.includes(name) === false) continue;
    try {
      if (made.has(name)) throw new OperationLeftOut('has the same name as another one');
      made.set(name, madeOf(found, source.operations[name] ?? {}, budget));
    } catch (error) {
      if (!(error instanceof OperationLeftOut)) throw error;
      reasons.set(name, error.message);
    }
  }
  return { made, reasons };
}

/** @throws DescriptionRefused for a name that is none of an operation, and where there are too many or none */
function requireWanted(
  { only = [], operations }: WsdlSource,
  { names, made, reasons }: { names: readonly string[]; made: ReadonlyMap<string, Made>; reasons: ReadonlyMap<string, string> },
): void {
  const whyNot = (name: string): string => {
    if (reasons.has(name)) return reasons.get(name)!;
    if (names.includes(name)) return 'is an operation of the WSDL, but `only` leaves it out';
    return `is no operation of the WSDL${didYouMean(name, names)} (it has ${listed(names)})`;
  };
  for (const [at, name] of only.entries())
    if (!made.has(name)) throw new DescriptionRefused(['wsdl', 'only', String(at)], `${name}: ${whyNot(name)}`);
  for (const name of Object.keys(operations)) if (!made.has(name)) throw new DescriptionRefused(['wsdl', 'operations', name], whyNot(name));
  if (made.size > mostOperations)
    throw new DescriptionRefused(
      ['wsdl', 'only'],
      `is missing: the WSDL has ${made.size} operations, and a connector at most ${mostOperations}`,
    );
  if (made.size > 0) return;
  const [[name, why] = ['', 'it has none']] = reasons;
  throw new DescriptionRefused(['wsdl', 'document'], `has no operation that can be sent: ${name} ${why}`.trim());
}

/** @throws OperationLeftOut */
function madeOf(found: WsdlOperation, { effect = 'write', idempotency, keyField }: Declared, budget: ShapeSchemaOptions['budget']): Made {
  const { name, about, action, version, sent, answered } = found;
  const answer = new ShapeSchema({ isSent: false, budget });
  const summary = about === undefined || about === '' ? `Send the message ${name}.` : about.split('\n')[0]!.slice(0, 300);
  return {
    operation: {
      summary,
      effect,
      ...(effect === 'write' ? { idempotency: idempotency ?? { class: 'none' } } : {}),
      input: inputSchema(sent, keyField, new ShapeSchema({ isSent: true, budget })),
      output: answered === undefined ? { type: 'null' } : answer.whole(answer.ofElement(answered)),
      // One that is not answered with an envelope ends with its status.
      errors: answered === undefined ? [{ when: 'response.status < 300 and response.text = ""', is: 'success' }] : [],
      maxBodyBytes: 1_024 * 1_024, // more is not read as XML
    },
    code: {
      make: ({ input, delivery }) => {
        const fields = keyField === undefined ? input : { ...(input as object), [keyField]: delivery.id };
        return envelopeRequest(messageOf(sent, fields), { version, action });
      },
      read: (text) => outputOf(answered, text),
      flawOf: ({ body }) => (hasEnvelope(body) ? undefined : noEnvelope),
    },
  };
}

/** The input has the elements of the message. A message of one value has it by the name of its element. @throws OperationLeftOut */
function inputSchema(sent: ElementShape | undefined, keyField: string | undefined, schemas: ShapeSchema): JsonSchema {
  if (sent === undefined) return { type: 'object', additionalProperties: false, properties: {} };
  const schema = isBare(sent.type)
    ? { type: 'object', additionalProperties: false, properties: { [sent.name]: schemas.ofElement(sent) }, required: [sent.name] }
    : schemas.ofContents(sent.type);
  if (keyField === undefined) return schemas.whole(schema);
  const { [keyField]: key, ...properties } = schema['properties'] as { [name: string]: JsonSchema };
  if (key === undefined) throw new OperationLeftOut(`has no element ${keyField} for the key: it has ${listed(Object.keys(properties))}`);
  const required = ((schema['required'] ?? []) as string[]).filter((one) => one !== keyField);
  return schemas.whole({ ...schema, properties, required });
}

function isBare(type: TypeShape): boolean {
  return type.isScalar || type.isAny;
}

/** @throws InputRefused */
function messageOf(sent: ElementShape | undefined, input: Json): string {
  if (sent === undefined) return '';
  const value = isBare(sent.type) ? (input as { readonly [name: string]: Json })[sent.name]! : input;
  try {
    return elementText(sent, value);
  } catch (error) {
    if (error instanceof XmlRefused) throw new InputRefused(`The input cannot become XML: ${error.message}`, { cause: error });
    throw error;
  }
}

function hasEnvelope(body: Json | undefined): boolean {
  const { Envelope } = objectOf(body);
  return Object.hasOwn(objectOf(Envelope), 'Body');
}

function objectOf(value: Json | undefined): { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null ? (value as { readonly [name: string]: Json }) : {};
}

/** @throws XmlRefused */
function outputOf(answered: ElementShape | undefined, text: string): Json {
  if (answered === undefined) return null;
  const body = XmlNode.of(parsedXml(text)).children.find(({ name }) => name === 'Body');
  const message = body?.children[0];
  if (message?.name !== answered.name)
    throw new XmlRefused(
      `the WSDL says ${answered.name}, and the body of the envelope has ${message === undefined ? 'nothing' : message.name}`,
    );
  return elementValue(answered, message);
}

/** @throws DescriptionRefused */
function checkIn(name: string, { operations, errors }: ConnectorSpec): WsdlCheck {
  const { input } = operations[name]!;
  const required = (input['required'] ?? []) as string[];
  const isEnvelope = codes.has(operations[name]!);
  if (required.length === 0) return { operation: name, errors: isEnvelope ? [...errors, onlyEnvelopes] : errors };
  throw new DescriptionRefused(['wsdl', 'check'], `needs an input, and a test has none: ${name} asks for ${listed(required)}`);
}
