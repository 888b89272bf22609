import { DescriptionRefused, OperationLeftOut } from '../description.js';
import type { JsonSchema } from '../description.js';
import type { ElementShape, TypeShape } from './xsd.shape.js';

export interface ShapeSchemaOptions {
  /** True for what is sent: nothing else may stand in it. */
  readonly isSent: boolean;
  /** The properties that all schemas of a connector may still have. */
  readonly budget: { left: number };
}

/** The most properties of all schemas of a connector, which are kept in memory. */
export const mostOfConnector = 30_000;
/** Properties of one schema. More take the check long, and nobody reads them. */
const mostProperties = 3_000;

/** Makes the JSON Schema of an element. Named types stand below `$defs`, so that a type may hold itself. */
export class ShapeSchema {
  private readonly definitions = new Map<TypeShape, { name: string; schema: JsonSchema }>();
  private readonly names = new Set<string>();
  private properties = 0;

  constructor(private readonly options: ShapeSchemaOptions) {}

  /** The schema with its definitions. @throws OperationLeftOut if the input cannot be written, or is too large to be checked */
  whole(schema: JsonSchema): JsonSchema {
    if (this.definitions.size === 0) return schema;
    return { ...schema, $defs: Object.fromEntries([...this.definitions.values()].map((one) => [one.name, one.schema])) };
  }

  /** @throws OperationLeftOut */
  ofElement({ type, isNillable }: ElementShape): JsonSchema {
    const schema = this.ofType(type);
    return isNillable ? { anyOf: [schema, { type: 'null' }] } : schema;
  }

  /** The schema of a type where it stands, not as a reference. @throws OperationLeftOut */
  ofContents(type: TypeShape): JsonSchema {
    const { isSent } = this.options;
    if (isSent && type.isAbstract)
      throw new OperationLeftOut(`has the abstract type ${type.name ?? ''}, in whose place another one must be sent`);
    if (isSent && type.unwritable !== undefined) throw new OperationLeftOut(type.unwritable);
    if (type.isAny) return {};
    if (type.isScalar) return { ...type.scalar!.schema };
    const properties: Record<string, JsonSchema> = {};
    const required: string[] = [];
    for (const { name, scalar, isRequired } of type.attributes) {
      this.count();
      properties[`@${name}`] = { ...scalar.schema };
      if (isRequired) required.push(`@${name}`);
    }
    for (const { element, isList, isRequired } of type.slots) {
      this.count();
      const one = this.ofElement(element);
      properties[element.name] = isList ? { type: 'array', items: one, ...(isSent && isRequired ? { minItems: 1 } : {}) } : one;
      if (isRequired || (isList && !isSent)) required.push(element.name);
    }
    if (type.scalar !== undefined) properties['#text'] = { ...type.scalar.schema };
    return {
      type: 'object',
      ...(isSent && !type.isOpen ? { additionalProperties: false } : {}),
      properties,
      ...(required.length === 0 ? {} : { required }),
    };
  }

  private ofType(type: TypeShape): JsonSchema {
    if (type.name === undefined || type.isScalar || type.isAny) return this.ofContents(type);
    let known = this.definitions.get(type);
    if (known === undefined) {
      known = { name: this.nameFor(type.name), schema: {} };
      this.definitions.set(type, known);
      Object.assign(known.schema, this.ofContents(type));
    }
    return { $ref: `#/$defs/${known.name}` };
  }

  private nameFor(given: string): string {
    const plain = given.replaceAll(/[^A-Za-z0-9_.-]/g, '_');
    let name = plain;
    for (let at = 2; this.names.has(name); at += 1) name = `${plain}${at}`;
    this.names.add(name);
    return name;
  }

  private count(): void {
    this.properties += 1;
    this.options.budget.left -= 1;
    if (this.options.budget.left < 0)
      throw new DescriptionRefused(
        ['wsdl', 'only'],
        `must choose fewer operations: their messages have more than ${mostOfConnector} elements and attributes`,
      );
    if (this.properties > mostProperties)
      throw new OperationLeftOut(`has a message with more than ${mostProperties} elements and attributes`);
  }
}
