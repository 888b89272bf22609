import type { FastifyInstance } from 'fastify';

/** The routes of Nest, by path: a request with another method gets 405 with `Allow`, and not 404 (RFC 9110 §15.5.6). */
export class Routes {
  private readonly methods = new Map<string, { readonly pattern: RegExp; readonly names: Set<string> }>();

  constructor(fastify: FastifyInstance) {
    fastify.addHook('onRoute', ({ url, method }) => {
      const known = this.methods.get(url) ?? { pattern: patternOf(url), names: new Set() };
      for (const name of [method].flat()) known.names.add(name);
      this.methods.set(url, known);
    });
  }

  /** The methods that the address of a request target takes; none if there is nothing. */
  methodsAt(target: string): string[] {
    const path = target.split('?', 1)[0]!;
    return [...this.methods.values()].flatMap(({ pattern, names }) => (pattern.test(path) ? [...names] : []));
  }
}

/** `:name` stands for one segment, and `*` for the rest. */
function patternOf(url: string): RegExp {
  const source = url
    .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/:[^/]+/g, '[^/]+')
    .replaceAll('*', '.*');
  return new RegExp(`^${source}$`);
}
