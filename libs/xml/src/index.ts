export { XmlRefused, elementToJson, elementsOf, localName, parsedXml, xmlElement, xmlText, xmlToJson } from './xml.js';
