import type { ConnectorDocument, ConnectorSpec } from '#libs/contracts';
import { specOfOpenApi } from './openapi/openapi.js';
import { specOfWsdl } from './soap/wsdl.js';

type GivenSpec = ConnectorDocument['spec'];

const known = new WeakMap<GivenSpec, ConnectorSpec>();

/** The connector of a document, with the operations of its OpenAPI document or its WSDL if it has one. Made once for each document. @throws DescriptionRefused */
export function connectorSpecOf(given: GivenSpec): ConnectorSpec {
  if (given.openapi === undefined && given.wsdl === undefined) return given as ConnectorSpec;
  let spec = known.get(given);
  if (spec === undefined) known.set(given, (spec = made(given)));
  return spec;
}

function made(given: GivenSpec): ConnectorSpec {
  return given.openapi === undefined ? specOfWsdl(given, given.wsdl!) : specOfOpenApi(given, given.openapi);
}
