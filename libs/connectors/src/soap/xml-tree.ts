import type { XmlElement } from '@rgrove/parse-xml';
import { XmlRefused, elementsOf, localName } from '#libs/xml';

/** A name with its namespace, which is empty if it has none. */
export interface QualifiedName {
  readonly space: string;
  readonly name: string;
}

/** The elements of a document lie too deep in each other, or a prefix stands for nothing. */
export class TreeRefused extends XmlRefused {}

const deepest = 100;
const xmlSpace = 'http://www.w3.org/XML/1998/namespace';

/** An element whose names are read with the namespaces that hold there. */
export class XmlNode implements QualifiedName {
  readonly space: string;
  readonly name: string;
  readonly children: readonly XmlNode[];
  /** The namespaces that are declared here, by prefix. Those around it are asked for, not copied: a document could have very many at very many places. */
  private readonly spaces: ReadonlyMap<string, string> | undefined;

  private constructor(
    readonly element: XmlElement,
    private readonly parent: XmlNode | undefined,
    depth: number,
  ) {
    if (depth > deepest) throw new TreeRefused('Its elements lie too deep in each other');
    const declared = Object.entries(element.attributes).filter(([name]) => name === 'xmlns' || name.startsWith('xmlns:'));
    this.spaces = declared.length === 0 ? undefined : new Map(declared.map(([name, space]) => [name.slice(6), space] as const));
    ({ space: this.space, name: this.name } = this.qualified(element.name));
    this.children = elementsOf(element).map((child) => new XmlNode(child, this, depth + 1));
  }

  /** @throws TreeRefused */
  static of(root: XmlElement): XmlNode {
    return new XmlNode(root, undefined, 0);
  }

  attribute(name: string): string | undefined {
    return this.element.attributes[name];
  }

  /** The elements of this name. */
  all(space: string, name: string): XmlNode[] {
    return this.children.filter((child) => child.space === space && child.name === name);
  }

  first(space: string, name: string): XmlNode | undefined {
    return this.all(space, name)[0];
  }

  /** A name in the value of an attribute. @throws TreeRefused */
  qualified(text: string): QualifiedName {
    const name = localName(text);
    const prefix = text.slice(0, Math.max(0, text.length - name.length - 1));
    const space = prefix === 'xml' ? xmlSpace : this.spaceOf(prefix);
    if (space === undefined && prefix !== '') throw new TreeRefused(`The prefix of ${text.slice(0, 100)} is declared nowhere`);
    return { space: space ?? '', name };
  }

  private spaceOf(prefix: string): string | undefined {
    return this.spaces?.get(prefix) ?? this.parent?.spaceOf(prefix);
  }
}
