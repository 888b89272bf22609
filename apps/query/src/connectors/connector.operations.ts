import { z } from 'zod';
import { query } from '../operations/operation.js';
import { entity, enumeration, json } from '../operations/shape.js';

export const operationEffect = enumeration(
  'ConnectorOperationEffect',
  { read: 'It changes nothing.', write: 'It changes something.' },
  'Whether an operation of a connector changes anything.',
);

export const connectorOperation = entity(
  'ConnectorOperation',
  {
    name: z.string().describe('The name by which destinations and steps call it.'),
    summary: z.string().describe('What it does, as a verb with its object.'),
    effect: operationEffect.describe('Whether it changes anything.'),
    promise: z
      .string()
      .nullable()
      .describe('How often it takes effect, in one sentence; null if it only reads, or if the destination declares it.'),
    input: json.describe('The JSON Schema of its input.'),
    output: json.describe('The JSON Schema of its output.'),
  },
  { about: 'One thing that can be done in a system.' },
);

export const connector = entity(
  'Connector',
  {
    name: z.string().describe('The name by which connections call it.'),
    summary: z.string().describe('What kind of system it is.'),
    isBuiltIn: z.boolean().describe('True if Millrace brings it along; false if it is a document of the tenant.'),
    auth: z.array(z.string()).describe('The kinds of credentials that it takes.'),
    settings: json.describe('The JSON Schema of a connection’s settings.'),
    operations: z.array(connectorOperation).describe('What can be done, by name.'),
    limits: z
      .array(z.string())
      .describe(
        'Limits of the system, and of a connector made of an OpenAPI document or a WSDL the operations that cannot be sent, each as a sentence.',
      ),
  },
  { about: 'The code for one kind of system, with an operation for each thing it can do there.' },
);
export type ConnectorRow = z.infer<typeof connector>;

export const listConnectors = query({
  name: 'connectors',
  about: 'The connectors that connections of the tenant can name, by name: those that Millrace brings along, and the tenant’s own.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(connector),
  failures: [],
});
