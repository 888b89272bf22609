import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { XmlRefused, elementToJson, xmlElement, xmlText } from '#libs/xml';
import { scalarText } from './xsd.scalar.js';
import type { ElementShape, TypeShape } from './xsd.shape.js';
import type { XmlNode } from './xml-tree.js';

const instance = 'http://www.w3.org/2001/XMLSchema-instance';

type JsonObject = { readonly [name: string]: Json };

/** Writes a value as an element, with everything in the order and the namespaces of its schema. The value fits the JSON Schema of the shape. @throws XmlRefused */
export function elementText(shape: ElementShape, value: Json): string {
  const prefixes = new Map<string, string>();
  const written = writtenElement(shape, value, (space) => {
    if (space === '') return '';
    const known = prefixes.get(space) ?? `n${prefixes.size}`;
    prefixes.set(space, known);
    return `${known}:`;
  });
  const declared = [...prefixes].map(([space, prefix]) => ` xmlns:${prefix}="${xmlText(space)}"`).join('');
  return written.replace(/^<[^\s/>]+/, (opened) => opened + declared);
}

function writtenElement({ space, name, type }: ElementShape, value: Json, prefixOf: (space: string) => string): string {
  const prefix = prefixOf(space);
  if (value === null) return `<${prefix}${name} xmlns:xsi="${instance}" xsi:nil="true"/>`;
  if (type.isAny) return xmlElement(name, value, prefix);
  if (type.isScalar) return `<${prefix}${name}>${xmlText(scalarText(value))}</${prefix}${name}>`;
  const object = objectOf(value, name);
  const attributes = type.attributes
    .filter((one) => Object.hasOwn(object, `@${one.name}`))
    .map((one) => ` ${prefixOf(one.space)}${one.name}="${xmlText(scalarText(object[`@${one.name}`]!))}"`);
  const text = Object.hasOwn(object, '#text') ? xmlText(scalarText(object['#text']!)) : '';
  const elements = type.slots
    .filter(({ element }) => Object.hasOwn(object, element.name))
    .flatMap(({ element, isList }) => {
      const given = object[element.name]!;
      return isList && Array.isArray(given)
        ? given.map((item) => writtenElement(element, item, prefixOf))
        : [writtenElement(element, given, prefixOf)];
    });
  const others = type.isOpen ? Object.entries(object).filter(([key]) => isOther(type, key)) : [];
  const more = others.map(([key, given]) => xmlElement(key, given));
  return `<${prefix}${name}${attributes.join('')}>${text}${elements.join('')}${more.join('')}</${prefix}${name}>`;
}

function objectOf(value: Json, name: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof LosslessNumber)
    throw new XmlRefused(`The value of ${name} is no object`);
  return value;
}

function isOther(type: TypeShape, key: string): boolean {
  return key !== '#text' && !key.startsWith('@') && type.slotOf(key) === undefined;
}

/** The value of an element by its schema: lists are lists also with one item or none, numbers are numbers. What the schema does not have is read as it is. */
export function elementValue({ type }: Pick<ElementShape, 'type'>, node: XmlNode): Json {
  if (isNil(node)) return null;
  if (type.isAny) return elementToJson(node.element);
  const text = node.element.text;
  if (type.isScalar) return type.scalar!.read(text);
  const found = new Map<string, Json>();
  for (const { name, scalar } of type.attributes) {
    const given = Object.entries(node.element.attributes).find(([key]) => key === name || key.endsWith(`:${name}`));
    if (given !== undefined) found.set(`@${name}`, scalar.read(given[1]));
  }
  const lists = new Map<string, Json[]>();
  for (const slot of type.slots) if (slot.isList) lists.set(slot.element.name, []);
  for (const child of node.children) {
    const slot = type.slotOf(child.name);
    const value = slot === undefined ? elementToJson(child.element) : elementValue(slot.element, child);
    const list = lists.get(child.name);
    if (list !== undefined) list.push(value);
    else if (found.has(child.name)) {
      lists.set(child.name, [found.get(child.name)!, value]);
      found.delete(child.name);
    } else found.set(child.name, value);
  }
  for (const [name, values] of lists) found.set(name, values);
  if (type.scalar !== undefined && node.children.length === 0) found.set('#text', type.scalar.read(text));
  return Object.fromEntries(found);
}

function isNil(node: XmlNode): boolean {
  return Object.entries(node.element.attributes).some(
    ([name, value]) => name.endsWith(':nil') && ['true', '1'].includes(value) && node.qualified(name).space === instance,
  );
}
