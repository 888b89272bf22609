import type { Json } from '#libs/json';
import { DescriptionRefused, OperationLeftOut } from '../description.js';
import { builtInScalar, text } from './xsd.scalar.js';
import type { Scalar } from './xsd.scalar.js';
import type { QualifiedName, XmlNode } from './xml-tree.js';

export const xsd = 'http://www.w3.org/2001/XMLSchema';

/** An element: its name, and what may stand in it. */
export interface ElementShape extends QualifiedName {
  readonly isNillable: boolean;
  readonly type: TypeShape;
}

/** An element within another one. */
export interface Slot {
  readonly element: ElementShape;
  readonly isList: boolean;
  readonly isRequired: boolean;
}

export interface AttributeSlot extends QualifiedName {
  readonly scalar: Scalar;
  readonly isRequired: boolean;
}

/** The contents of an element, in the order that its schema asks for. */
export class TypeShape {
  /** The text, if it has one. A type with a text alone is a scalar. */
  scalar: Scalar | undefined;
  readonly attributes: AttributeSlot[] = [];
  readonly slots: Slot[] = [];
  /** True if it may have any other elements. */
  isOpen = false;
  /** True if another type must stand in its place, which this one does not name. */
  isAbstract = false;
  /** The reason why no value of JSON can say what stands in it; undefined if one can. */
  unwritable: string | undefined;

  private byName: ReadonlyMap<string, Slot> | undefined;

  /** @param name the name in its schema; undefined for one that stands within an element */
  constructor(readonly name: string | undefined) {}

  /** The slot of an element, once the type was read whole. */
  slotOf(name: string): Slot | undefined {
    this.byName ??= new Map(this.slots.map((slot) => [slot.element.name, slot] as const));
    return this.byName.get(name);
  }

  get isScalar(): boolean {
    return this.scalar !== undefined && this.slots.length + this.attributes.length === 0 && !this.isOpen;
  }

  /** True if nothing is said about it. */
  get isAny(): boolean {
    return this.isOpen && this.scalar !== undefined && this.slots.length + this.attributes.length === 0;
  }
}

/** The place of a particle within a model. */
interface Place {
  readonly isOptional: boolean;
  readonly isRepeated: boolean;
  readonly isChoice: boolean;
}

type Kind = 'element' | 'complexType' | 'simpleType' | 'group' | 'attributeGroup' | 'attribute';

/** A declaration, with the schema that it stands in. */
interface Found {
  readonly node: XmlNode;
  readonly schema: XmlNode;
}

const plain: Place = { isOptional: false, isRepeated: false, isChoice: false };
/** Elements, attributes and references that are followed for one document. */
const mostParts = 20_000;
const deepest = 50;

/** The shapes of the elements and types of the schemas of a WSDL. */
export class SchemaShapes {
  private readonly declared = new Map<string, Found>();
  private readonly elements = new Map<string, ElementShape>();
  private readonly types = new Map<string, TypeShape>();
  private readonly scalars = new Map<string, Scalar>();
  private parts = 0;
  private depth = 0;

  /** @throws DescriptionRefused for a schema that stands elsewhere */
  constructor(schemas: readonly XmlNode[]) {
    for (const schema of schemas) {
      const space = schema.attribute('targetNamespace') ?? '';
      for (const node of schema.children) {
        if (node.space !== xsd) continue;
        const at = node.attribute('schemaLocation');
        if (node.name === 'include' || node.name === 'redefine') throw elsewhere(node.name, at);
        const name = node.attribute('name');
        if (name !== undefined) this.declared.set(`${node.name} ${space} ${name}`, { node, schema });
      }
    }
    const known = new Set(schemas.map((schema) => schema.attribute('targetNamespace') ?? ''));
    for (const schema of schemas) {
      for (const node of schema.all(xsd, 'import')) {
        const at = node.attribute('schemaLocation');
        if (at !== undefined && !known.has(node.attribute('namespace') ?? '')) throw elsewhere('import', at);
      }
    }
  }

  /** @throws DescriptionRefused, OperationLeftOut */
  element(of: QualifiedName): ElementShape {
    const key = `${of.space} ${of.name}`;
    const known = this.elements.get(key);
    if (known !== undefined) return known;
    const { node, schema } = this.find('element', of);
    if (node.attribute('abstract') === 'true') throw new OperationLeftOut(`has the abstract element ${of.name}`);
    const draft = { ...of, isNillable: isTrue(node, 'nillable'), type: new TypeShape(undefined) };
    this.elements.set(key, draft);
    draft.type = this.typeIn(node, schema);
    return draft;
  }

  /** A type by its name. @throws DescriptionRefused, OperationLeftOut */
  type(of: QualifiedName): TypeShape {
    const key = `${of.space} ${of.name}`;
    const known = this.types.get(key);
    if (known !== undefined) return known;
    const shape = new TypeShape(of.name);
    this.types.set(key, shape);
    if (of.space === xsd) {
      shape.scalar = of.name === 'anyType' ? text : builtInScalar(of.name);
      shape.isOpen = of.name === 'anyType';
      return shape;
    }
    const complex = this.declared.get(`complexType ${key}`);
    if (complex === undefined) shape.scalar = this.scalar(of);
    else this.deeper(() => this.read(shape, complex.node, complex.schema));
    return shape;
  }

  private find(kind: Kind, of: QualifiedName): Found {
    const found = this.declared.get(`${kind} ${of.space} ${of.name}`);
    if (found !== undefined) return found;
    throw refused(
      `has no ${kind} ${of.name}${of.space === '' ? '' : ` in the namespace ${of.space}`}, which it refers to: what is imported must stand in it`,
    );
  }

  private count(parts = 1): void {
    this.parts += parts;
    if (this.parts > mostParts) throw refused(`has more than ${mostParts} parts of schemas: leave out what is not needed`);
  }

  /** A type, a group or a base that stands in itself would be followed for ever. */
  private deeper<T>(work: () => T): T {
    this.depth += 1;
    try {
      if (this.depth > deepest) throw refused('has schemas that refer to each other in a circle, or too deep');
      return work();
    } finally {
      this.depth -= 1;
    }
  }

  /** The type of an element: named, within it, or none, which is any. */
  private typeIn(node: XmlNode, schema: XmlNode): TypeShape {
    this.count();
    const named = node.attribute('type');
    if (named !== undefined) return this.type(node.qualified(named));
    const shape = new TypeShape(undefined);
    const complex = node.first(xsd, 'complexType');
    const simple = node.first(xsd, 'simpleType');
    if (complex !== undefined) this.deeper(() => this.read(shape, complex, schema));
    else if (simple !== undefined) shape.scalar = this.deeper(() => this.scalarIn(simple));
    else return this.type({ space: xsd, name: 'anyType' });
    return shape;
  }

  private read(shape: TypeShape, node: XmlNode, schema: XmlNode): void {
    shape.isAbstract = isTrue(node, 'abstract');
    if (isTrue(node, 'mixed')) shape.scalar = text;
    const simple = node.first(xsd, 'simpleContent');
    const complex = node.first(xsd, 'complexContent');
    if (simple !== undefined) return this.readFromBase(shape, simple, schema);
    if (complex !== undefined) return this.readFromBase(shape, complex, schema);
    this.contents(shape, node, schema);
  }

  /** An extension has the contents of its base before its own; a restriction says all of its elements again, and keeps attributes. */
  private readFromBase(shape: TypeShape, content: XmlNode, schema: XmlNode): void {
    const extension = content.first(xsd, 'extension');
    const derived = extension ?? content.first(xsd, 'restriction');
    const named = derived?.attribute('base');
    if (derived === undefined || named === undefined) throw refused('has a type that extends and restricts nothing');
    const base = this.deeper(() => this.type(derived.qualified(named)));
    this.count(base.slots.length + base.attributes.length);
    if (!(base.isAny && extension === undefined)) shape.scalar ??= base.scalar;
    shape.attributes.push(...base.attributes);
    if (extension !== undefined) {
      shape.slots.push(...base.slots);
      shape.isOpen ||= base.isOpen;
      shape.unwritable ??= base.unwritable;
    }
    this.contents(shape, derived, schema);
  }

  private contents(shape: TypeShape, node: XmlNode, schema: XmlNode): void {
    for (const child of node.children) {
      if (child.space !== xsd) continue;
      if (['sequence', 'choice', 'all', 'group'].includes(child.name)) this.particle(shape, child, schema, plain);
      else if (child.name === 'attribute') this.attribute(shape, child);
      else if (child.name === 'attributeGroup') this.attributeGroup(shape, child);
    }
  }

  private particle(shape: TypeShape, node: XmlNode, schema: XmlNode, place: Place): void {
    this.count();
    if (node.space !== xsd) return;
    const inner = placeIn(node, place);
    if (inner === undefined) return;
    if (node.name === 'element') return this.slot(shape, node, schema, inner);
    if (node.name === 'any') return void (shape.isOpen = true);
    if (node.name === 'group') {
      const group = this.find('group', node.qualified(node.attribute('ref') ?? ''));
      return this.deeper(() => {
        for (const child of group.node.children) this.particle(shape, child, group.schema, inner);
      });
    }
    if (!['sequence', 'choice', 'all'].includes(node.name)) return;
    const particles = node.children.filter(({ space, name }) => space === xsd && name !== 'annotation');
    if (node.name === 'sequence' && inner.isRepeated && particles.length > 1 && Number(node.attribute('maxOccurs') ?? 1) !== 1)
      shape.unwritable ??= `repeats a group of ${particles.length} elements, whose order JSON does not say`;
    const isChoice = node.name === 'choice' && particles.length > 1;
    for (const child of particles)
      this.particle(shape, child, schema, { ...inner, isOptional: inner.isOptional || isChoice, isChoice: inner.isChoice || isChoice });
  }

  private slot(shape: TypeShape, node: XmlNode, schema: XmlNode, { isOptional, isRepeated, isChoice }: Place): void {
    const ref = node.attribute('ref');
    const element = ref === undefined ? this.localElement(node, schema) : this.element(node.qualified(ref));
    const slot = { element, isList: isRepeated, isRequired: !isOptional };
    const at = shape.slots.findIndex((other) => other.element.name === element.name);
    if (at < 0) return void shape.slots.push(slot);
    const known = shape.slots[at]!;
    if (!isChoice || known.element.space !== element.space)
      shape.unwritable ??= `has the element ${element.name} at two places of one type, which JSON does not tell apart`;
    shape.slots[at] = { ...known, isList: known.isList || isRepeated || !isChoice, isRequired: false };
  }

  private localElement(node: XmlNode, schema: XmlNode): ElementShape {
    const form = node.attribute('form') ?? schema.attribute('elementFormDefault') ?? 'unqualified';
    const space = form === 'qualified' ? (schema.attribute('targetNamespace') ?? '') : '';
    return { space, name: node.attribute('name') ?? '', isNillable: isTrue(node, 'nillable'), type: this.typeIn(node, schema) };
  }

  private attribute(shape: TypeShape, node: XmlNode): void {
    this.count();
    const use = node.attribute('use');
    const ref = node.attribute('ref');
    const name = ref === undefined ? { space: '', name: node.attribute('name') ?? '' } : node.qualified(ref);
    const at = shape.attributes.findIndex((known) => known.name === name.name);
    if (at >= 0) shape.attributes.splice(at, 1);
    if (use === 'prohibited') return;
    shape.attributes.push({ ...name, scalar: ref === undefined ? this.scalarOf(node) : text, isRequired: use === 'required' });
  }

  private attributeGroup(shape: TypeShape, node: XmlNode): void {
    const { node: group } = this.find('attributeGroup', node.qualified(node.attribute('ref') ?? ''));
    this.deeper(() => {
      for (const child of group.children) {
        if (child.name === 'attribute') this.attribute(shape, child);
        if (child.name === 'attributeGroup') this.attributeGroup(shape, child);
      }
    });
  }

  /** The type of an attribute. */
  private scalarOf(node: XmlNode): Scalar {
    const named = node.attribute('type');
    if (named !== undefined) return this.scalar(node.qualified(named));
    const simple = node.first(xsd, 'simpleType');
    return simple === undefined ? text : this.deeper(() => this.scalarIn(simple));
  }

  private scalar(of: QualifiedName): Scalar {
    if (of.space === xsd) return builtInScalar(of.name);
    const key = `${of.space} ${of.name}`;
    let known = this.scalars.get(key);
    if (known === undefined) this.scalars.set(key, (known = this.deeper(() => this.scalarIn(this.find('simpleType', of).node))));
    return known;
  }

  private scalarIn(node: XmlNode): Scalar {
    this.count();
    const restriction = node.first(xsd, 'restriction');
    if (restriction === undefined) return node.first(xsd, 'union') === undefined ? text : { schema: {}, read: (value) => value };
    const named = restriction.attribute('base');
    const within = restriction.first(xsd, 'simpleType');
    const base =
      named === undefined
        ? within === undefined
          ? text
          : this.deeper(() => this.scalarIn(within))
        : this.scalar(restriction.qualified(named));
    return { ...base, schema: { ...base.schema, ...facetsOf(restriction, base) } };
  }
}

/** The limits of a restriction that JSON Schema has as well. Patterns of XML Schema are another language. */
function facetsOf(restriction: XmlNode, { schema, read }: Scalar): Record<string, Json> {
  const found: Record<string, Json> = {};
  const values = restriction.all(xsd, 'enumeration').map((one) => read(one.attribute('value') ?? ''));
  if (values.length > 0) found['enum'] = values;
  const words = schema['type'] === 'string' ? lengths : numbers;
  for (const facet of restriction.children) {
    const value = Number(facet.attribute('value'));
    for (const word of facet.space === xsd && Object.hasOwn(words, facet.name) ? words[facet.name]! : [])
      if (Number.isSafeInteger(value) || words === numbers) found[word] = value;
  }
  return Object.values(found).some((value) => Number.isNaN(value)) ? {} : found;
}

const lengths: Readonly<Record<string, readonly string[]>> = {
  length: ['minLength', 'maxLength'],
  minLength: ['minLength'],
  maxLength: ['maxLength'],
};
const numbers: Readonly<Record<string, readonly string[]>> = {
  minInclusive: ['minimum'],
  maxInclusive: ['maximum'],
  minExclusive: ['exclusiveMinimum'],
  maxExclusive: ['exclusiveMaximum'],
};

/** Undefined for what must not occur. */
function placeIn(node: XmlNode, place: Place): Place | undefined {
  const most = node.attribute('maxOccurs') ?? '1';
  if (most === '0') return undefined;
  const isOptional = place.isOptional || node.attribute('minOccurs') === '0';
  return { ...place, isOptional, isRepeated: place.isRepeated || most !== '1' };
}

function isTrue(node: XmlNode, name: string): boolean {
  return ['true', '1'].includes(node.attribute(name) ?? '');
}

function refused(message: string): DescriptionRefused {
  return new DescriptionRefused(['wsdl', 'document'], message);
}

function elsewhere(how: string, at: string | undefined): DescriptionRefused {
  const where = at === undefined ? '' : ` (${at.slice(0, 100)})`;
  return refused(`has a schema that stands elsewhere, by ${how}${where}: put it into the WSDL; nothing is fetched`);
}
