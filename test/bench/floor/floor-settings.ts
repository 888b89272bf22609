/** The settings of the floor's two processes, passed as JSON in the environment variable FLOOR. */
export interface FloorSettings {
  readonly brokers: string[];
  readonly topic: string;
  readonly databaseUrl: string;
  /** `whsec_` and base64. Partners sign with it, and so does the worker. */
  readonly secret: string;
  /** Port of the door. */
  readonly port: number;
  readonly destinationUrl: string;
  /** The address of the OpenAI-compatible model, for the form with a model; else each event is delivered as it came. */
  readonly modelUrl: string | undefined;
}

export function floorSettings(): FloorSettings {
  return JSON.parse(process.env['FLOOR'] ?? '') as FloorSettings;
}
