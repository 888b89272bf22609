/** A destination of a tenant. */
export interface DestinationName {
  readonly tenant: string;
  readonly destination: string;
}

/** The same text for the same destination: a key of maps. */
export function destinationKey({ tenant, destination }: DestinationName): string {
  return `${tenant}/${destination}`;
}
