import { DescriptionRefused, OperationLeftOut, listed } from '../description.js';
import { XmlRefused, parsedXml } from '#libs/xml';
import type { SoapVersion } from './envelope.js';
import { SchemaShapes, TypeShape, xsd } from './xsd.shape.js';
import type { ElementShape } from './xsd.shape.js';
import { XmlNode } from './xml-tree.js';

const wsdl = 'http://schemas.xmlsoap.org/wsdl/';
const bindings: Readonly<Record<string, SoapVersion>> = {
  'http://schemas.xmlsoap.org/wsdl/soap/': '1.1',
  'http://schemas.xmlsoap.org/wsdl/soap12/': '1.2',
};
/** The one way of sending that is not HTTP is JMS. */
const overHttp = new Set(['http://schemas.xmlsoap.org/soap/http', 'http://www.w3.org/2003/05/soap/bindings/HTTP/']);

/** The message of an operation: one element, or none. */
type Message = ElementShape | undefined;

/** An operation as a WSDL describes it. */
export interface WsdlOperation {
  readonly name: string;
  readonly about: string | undefined;
  readonly version: SoapVersion;
  readonly action: string;
  readonly sent: Message;
  /** Undefined where nothing is answered. */
  readonly answered: Message;
}

/** The port of a WSDL that operations are sent to. */
export interface WsdlPort {
  /** Undefined if the WSDL names none that a request could go to. */
  readonly address: string | undefined;
  readonly operations: readonly WsdlOperation[];
  /** The operations that cannot be sent, with the reason as the rest of a sentence. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** The service and the port that are meant. Default: the first ones. */
export interface WsdlChoice {
  readonly service?: string | undefined;
  readonly port?: string | undefined;
}

/** Reads a WSDL. https://www.w3.org/TR/2001/NOTE-wsdl-20010315 @throws DescriptionRefused */
export function portOf(document: string, choice: WsdlChoice): WsdlPort {
  try {
    return new WsdlReader(XmlNode.of(parsedXml(document))).port(choice);
  } catch (error) {
    if (error instanceof XmlRefused) throw refused(`is not read as XML: ${error.message}`);
    throw error;
  }
}

class WsdlReader {
  private readonly shapes: SchemaShapes;

  constructor(private readonly root: XmlNode) {
    if (root.space !== wsdl || root.name !== 'definitions') {
      const found = root.name === 'description' ? 'WSDL 2.0' : `the element ${root.name}`;
      throw refused(`must be WSDL 1.1, whose root is \`definitions\`, and is ${found}`);
    }
    const [elsewhere] = root.all(wsdl, 'import');
    if (elsewhere !== undefined)
      throw refused(
        `imports ${(elsewhere.attribute('location') ?? '').slice(0, 100)}: give the whole WSDL as one document; nothing is fetched`,
      );
    this.shapes = new SchemaShapes(root.all(wsdl, 'types').flatMap((types) => types.all(xsd, 'schema')));
  }

  port({ service: wantedService, port: wantedPort }: WsdlChoice): WsdlPort {
    const services = this.root.all(wsdl, 'service');
    const service = chosen(services, wantedService, 'service');
    const ports = service.all(wsdl, 'port').filter((port) => this.versionOf(port) !== undefined);
    if (ports.length === 0) throw refused(`has no port with a binding of SOAP 1.1 or 1.2 over HTTP in the service ${nameOf(service)}`);
    const port = chosen(ports, wantedPort, 'port');
    const binding = this.bindingOf(port)!;
    const version = this.versionOf(port)!;
    const operations: WsdlOperation[] = [];
    const leftOut = new Map<string, string>();
    for (const node of binding.all(wsdl, 'operation')) {
      const name = nameOf(node);
      try {
        operations.push(this.operation(name, node, binding, version));
      } catch (error) {
        if (!(error instanceof OperationLeftOut)) throw error;
        leftOut.set(name, error.message);
      }
    }
    const address = port.children.find(({ space, name }) => name === 'address' && Object.hasOwn(bindings, space))?.attribute('location');
    return { address, operations, leftOut };
  }

  private bindingOf(port: XmlNode): XmlNode | undefined {
    const { name } = port.qualified(port.attribute('binding') ?? '');
    return this.root.all(wsdl, 'binding').find((binding) => nameOf(binding) === name);
  }

  /** Undefined if the binding is none of SOAP over HTTP. */
  private versionOf(port: XmlNode): SoapVersion | undefined {
    const soap = soapIn(this.bindingOf(port), 'binding');
    return soap === undefined || !overHttp.has(soap.attribute('transport') ?? '') ? undefined : bindings[soap.space];
  }

  /** @throws OperationLeftOut, DescriptionRefused */
  private operation(name: string, node: XmlNode, binding: XmlNode, version: SoapVersion): WsdlOperation {
    const { name: type } = binding.qualified(binding.attribute('type') ?? '');
    const portType = this.root.all(wsdl, 'portType').find((one) => nameOf(one) === type);
    const declared = portType?.all(wsdl, 'operation').find((one) => nameOf(one) === name);
    if (declared === undefined) throw new OperationLeftOut('is in no port type');
    const soap = soapIn(node, 'operation');
    const style = soap?.attribute('style') ?? soapIn(binding, 'binding')?.attribute('style') ?? 'document';
    const [input, output] = [declared.first(wsdl, 'input'), declared.first(wsdl, 'output')];
    if (input === undefined) throw new OperationLeftOut('is one that the service begins');
    const message = (of: XmlNode, side: 'input' | 'output', wrapper: string): Message => {
      const bound = node.first(wsdl, side);
      return style === 'rpc' ? this.wrapped(of, bound, side, wrapper) : this.single(of, bound, side);
    };
    return {
      name,
      about: declared.first(wsdl, 'documentation')?.element.text.trim(),
      version,
      action: soap?.attribute('soapAction') ?? '',
      sent: message(input, 'input', name),
      answered: output === undefined ? undefined : message(output, 'output', `${name}Response`),
    };
  }

  /** document/literal: the body has the element of the one part. */
  private single(of: XmlNode, bound: XmlNode | undefined, side: 'input' | 'output'): Message {
    const parts = this.partsOf(of, bound, side === 'input');
    if (parts.length > 1) throw new OperationLeftOut(`has ${parts.length} parts in one body`);
    const [part] = parts;
    if (part === undefined) return undefined;
    const element = part.attribute('element');
    if (element === undefined)
      throw new OperationLeftOut(`has the part ${nameOf(part)} with a type in place of an element, which document style does not send`);
    return this.shapes.element(part.qualified(element));
  }

  /** rpc/literal: the body has an element of the operation's name, and in it one for each part, without a namespace. https://www.ws-i.org/Profiles/BasicProfile-1.1.html R2717, R2735 */
  private wrapped(of: XmlNode, bound: XmlNode | undefined, side: 'input' | 'output', name: string): Message {
    const type = new TypeShape(undefined);
    for (const part of this.partsOf(of, bound, side === 'input')) {
      const typed = part.attribute('type');
      if (typed === undefined) throw new OperationLeftOut(`has the part ${nameOf(part)} without a type, which rpc style asks for`);
      const element = { space: '', name: nameOf(part), isNillable: false, type: this.shapes.type(part.qualified(typed)) };
      type.slots.push({ element, isList: false, isRequired: true });
    }
    return { space: soapIn(bound, 'body')?.attribute('namespace') ?? '', name, isNillable: false, type };
  }

  private partsOf(of: XmlNode, bound: XmlNode | undefined, isSent: boolean): XmlNode[] {
    const body = soapIn(bound, 'body');
    if (body?.attribute('use') === 'encoded')
      throw new OperationLeftOut(
        'is encoded (`use="encoded"`), and only literal messages are sent: ask for a binding with `use="literal"`',
      );
    const header = soapIn(bound, 'header');
    if (header !== undefined && isSent)
      throw new OperationLeftOut(`asks for the header ${header.attribute('part') ?? ''} in its envelope, which cannot be sent`);
    const { name } = of.qualified(of.attribute('message') ?? '');
    const message = this.root.all(wsdl, 'message').find((one) => nameOf(one) === name);
    if (message === undefined) throw refused(`has no message ${name}`);
    const named = body?.attribute('parts')?.split(/\s+/);
    return message.all(wsdl, 'part').filter((part) => named === undefined || named.includes(nameOf(part)));
  }
}

function soapIn(node: XmlNode | undefined, name: string): XmlNode | undefined {
  return node?.children.find((child) => child.name === name && Object.hasOwn(bindings, child.space));
}

function nameOf(node: XmlNode): string {
  return node.attribute('name') ?? '';
}

function chosen(nodes: readonly XmlNode[], wanted: string | undefined, what: 'service' | 'port'): XmlNode {
  const found = wanted === undefined ? nodes[0] : nodes.find((node) => nameOf(node) === wanted);
  if (found !== undefined) return found;
  if (wanted === undefined) throw refused(`has no ${what}`);
  throw new DescriptionRefused(['wsdl', what], `names no ${what} of SOAP over HTTP: ${wanted} (the WSDL has ${listed(nodes.map(nameOf))})`);
}

function refused(message: string): DescriptionRefused {
  return new DescriptionRefused(['wsdl', 'document'], message);
}
