import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType, isSpecifiedScalarType } from 'graphql';
import type { GraphQLNamedType } from 'graphql';

/** The paths of the properties without a description in a JSON Schema. */
export function undescribedProperties(schema: unknown, path = ''): string[] {
  if (Array.isArray(schema)) return schema.flatMap((part, at) => undescribedProperties(part, `${path}/${at}`));
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema as Record<string, unknown>).flatMap(([keyword, value]) => {
    if (['enum', 'const', 'default', 'x-millrace'].includes(keyword)) return [];
    if (keyword !== 'properties') return undescribedProperties(value, keyword === '$defs' ? `${path}/$defs` : path);
    return Object.entries(value as Record<string, { description?: string }>).flatMap(([name, property]) => [
      ...(property.description ? [] : [`${path}.${name}`]),
      ...undescribedProperties(property, `${path}.${name}`),
    ]);
  });
}

/** The types, fields, arguments and enum values without a description in SDL. */
export function undescribedSdl(sdl: string): string[] {
  const types = Object.values(buildSchema(sdl).getTypeMap());
  return types.filter((type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type)).flatMap(undescribedParts);
}

function undescribedParts(type: GraphQLNamedType): string[] {
  return [{ path: type.name, description: type.description }, ...partsOf(type)]
    .filter(({ description }) => !description)
    .map(({ path }) => path);
}

interface DescribedPart {
  path: string;
  description: string | null | undefined;
}

function partsOf(type: GraphQLNamedType): DescribedPart[] {
  const within = (path: string, parts: readonly { name: string; description: string | null | undefined }[]): DescribedPart[] =>
    parts.map(({ name, description }) => ({ path: `${path}.${name}`, description }));
  if (isEnumType(type)) return within(type.name, type.getValues());
  if (isInputObjectType(type)) return within(type.name, Object.values(type.getFields()));
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  const fields = Object.values(type.getFields());
  return [...within(type.name, fields), ...fields.flatMap(({ name, args }) => within(`${type.name}.${name}`, args))];
}
