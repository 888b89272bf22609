import { parseXml } from '@rgrove/parse-xml';
import type { XmlElement, XmlNode } from '@rgrove/parse-xml';
import { LosslessNumber, maxJsonDepth } from '#libs/json';
import type { Json } from '#libs/json';

/** Longer texts are not parsed, in characters: parsing holds the process up, for some 0.2 s at this length. */
const longestXml = 1_024 * 1_024;

/** The text is no XML that is read. */
export class XmlRefused extends Error {}

/**
 * The root element of a document. A document type is refused, so there are no entities but those of XML itself, and nothing is fetched.
 * @param longest most characters
 * @throws XmlRefused
 */
export function parsedXml(text: string, longest = longestXml): XmlElement {
  if (text.length > longest) throw new XmlRefused(`It has more than ${longest} characters`);
  try {
    const { children, root } = parseXml(text, { preserveDocumentType: true });
    if (children.some(({ type }) => type === 'doctype')) throw new XmlRefused('It has a document type (DTD)');
    return root!;
  } catch (error) {
    if (error instanceof XmlRefused) throw error;
    if (error instanceof RangeError) throw new XmlRefused('Its elements lie too deep in each other');
    throw new XmlRefused(firstLine(error));
  }
}

function firstLine(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}

/**
 * A document as JSON, by names without their prefixes: `{ "Order": { "@id": "1", "Line": ["a", "b"], "Note": "c" } }`. An element is its text, or an
 * object of its attributes, its elements and, as `#text`, text beside them. Elements may lie in each other as deep as JSON may.
 * @param longest most characters
 * @throws XmlRefused
 */
export function xmlToJson(text: string, longest?: number): { [name: string]: Json } {
  const root = parsedXml(text, longest);
  return Object.fromEntries([[localName(root.name), elementToJson(root, 2)]]);
}

/** The name of an element or attribute without its prefix. */
export function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

export function elementsOf({ children }: XmlElement): XmlElement[] {
  return children.filter((node): node is XmlElement => node.type === 'element');
}

/**
 * An element as JSON, as {@link xmlToJson} has it.
 * @param depth the level at which the value will stand
 * @throws XmlRefused if it lies too deep
 */
export function elementToJson(element: XmlElement, depth = 1): Json {
  if (depth > maxJsonDepth) throw new XmlRefused(`Its elements lie more than ${maxJsonDepth} levels deep in each other`);
  const attributes = Object.entries(element.attributes).filter(([name]) => !/^xmlns(?::|$)/.test(name));
  const elements = elementsOf(element);
  const text = element.children.map(textOf).join('');
  if (attributes.length === 0 && elements.length === 0) return text;
  const found = new Map<string, Json>(attributes.map(([name, value]) => [`@${localName(name)}`, value]));
  const lists = new Map<string, Json[]>();
  for (const child of elements) {
    const name = localName(child.name);
    const list = lists.get(name);
    if (list === undefined) lists.set(name, [elementToJson(child, depth + 1)]);
    else list.push(elementToJson(child, depth + 1)); // a copy for each value would take a time quadratic in their number
  }
  for (const [name, values] of lists) found.set(name, values.length === 1 ? values[0]! : values);
  if (text.trim() !== '') found.set('#text', text);
  return Object.fromEntries(found);
}

function textOf(node: XmlNode): string {
  return node.type === 'text' || node.type === 'cdata' ? (node as XmlNode & { text: string }).text : '';
}

/** A text as it stands in an element or in an attribute. @throws XmlRefused if XML cannot hold it */
export function xmlText(text: string): string {
  if (!text.isWellFormed() || /[^\t\n\r\u0020-\uFFFD\u{10000}-\u{10FFFF}]/u.test(text))
    throw new XmlRefused('It has a character that XML cannot hold');
  return text.replaceAll(/[&<>"'\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`);
}

const elementName = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/**
 * A value as an element. The properties of an object are its elements in their order, those that begin with `@` its attributes, and `#text` its text; a
 * list is one element for each item, and null an element that is nil.
 * @param prefix stands before the name of this element and of those within it
 * @throws XmlRefused for what XML cannot hold
 */
export function xmlElement(name: string, value: Json, prefix = ''): string {
  if (!elementName.test(name)) throw new XmlRefused(`${JSON.stringify(name.slice(0, 80))} is no name for an element`);
  if (Array.isArray(value)) return value.map((item) => xmlElement(name, item, prefix)).join('');
  const tag = prefix + name;
  if (value === null) return `<${tag} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>`;
  if (typeof value !== 'object' || value instanceof LosslessNumber) return `<${tag}>${xmlText(String(value))}</${tag}>`;
  const entries = Object.entries(value);
  const attributes = entries.filter(([key]) => key.startsWith('@')).map(([key, each]) => attribute(key.slice(1), each));
  const contents = entries
    .filter(([key]) => !key.startsWith('@'))
    .map(([key, each]) => (key === '#text' ? xmlText(plain(each)) : xmlElement(key, each, prefix)));
  return `<${tag}${attributes.join('')}>${contents.join('')}</${tag}>`;
}

function attribute(name: string, value: Json): string {
  if (!elementName.test(name) || name === 'xmlns') throw new XmlRefused(`${JSON.stringify(name.slice(0, 80))} is no name for an attribute`);
  return ` ${name}="${xmlText(plain(value))}"`;
}

function plain(value: Json): string {
  if (value === null || (typeof value === 'object' && !(value instanceof LosslessNumber)))
    throw new XmlRefused('An attribute or a text is neither text nor a number');
  return String(value);
}
