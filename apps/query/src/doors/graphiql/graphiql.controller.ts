import { Controller, Get, Param, Res } from '@nestjs/common';
import type { OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AddressNotFound } from '#libs/service';
import { graphqlPath } from '../graphql/graphql.module.js';
import { assetsPath, graphiql, graphiqlPolicy } from './graphiql.assets.js';

/** GraphiQL for a browser that opens the address of GraphQL. The page and its files come from this process, and hold no key. */
@Controller(assetsPath)
export class GraphiqlController implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost) {}

  /** The address belongs to Apollo, so the page is answered before it. */
  onModuleInit(): void {
    const fastify = this.http.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('onRequest', async (request, reply) => {
      if (request.routeOptions.url === graphqlPath && isForPage(request)) await sendPage(reply);
    });
  }

  @Get(':version/:name')
  async file(@Param('version') wanted: string, @Param('name') name: string, @Res() reply: FastifyReply): Promise<void> {
    const { version, files } = await graphiql();
    const asset = files.get(name);
    if (asset === undefined || wanted !== version) throw new AddressNotFound();
    await reply
      .headers({ 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff' })
      .type(asset.type)
      .send(asset.content);
  }
}

/** A browser that opens the address sends no key. GraphiQL notes the document in the address, so one in it says nothing. */
function isForPage({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html') && headers.authorization === undefined;
}

async function sendPage(reply: FastifyReply): Promise<void> {
  const { page } = await graphiql();
  await reply
    .headers({
      'content-security-policy': graphiqlPolicy,
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      vary: 'accept',
    })
    .type('text/html; charset=utf-8')
    .send(page);
}
