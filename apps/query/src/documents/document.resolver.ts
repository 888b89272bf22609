import { Mutation, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { Document } from '#libs/contracts';
import type {
  DocumentResolvers,
  MutationApplyDocumentsArgs,
  MutationRemoveDocumentArgs,
  MutationResolvers,
  QueryDocumentArgs,
  QueryDocumentsArgs,
  QueryResolvers,
} from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import { DocumentService } from './document.service.js';
import type { DocumentRow } from './document.service.js';

@Resolver()
export class DocumentQueries implements Pick<QueryResolvers, 'document' | 'documents'> {
  constructor(private readonly service: DocumentService) {}

  @Query()
  documents(_root: unknown, { kind }: QueryDocumentsArgs, { principal }: QueryContext): Promise<DocumentRow[]> {
    return this.service.list(principal.tenant, kind);
  }

  @Query()
  async document(_root: unknown, { kind, name }: QueryDocumentArgs, { principal }: QueryContext): Promise<DocumentRow | null> {
    return (await this.service.list(principal.tenant, kind)).find((document) => document.name === name) ?? null;
  }
}

@Resolver()
export class DocumentMutations implements Pick<MutationResolvers, 'applyDocuments' | 'removeDocument'> {
  constructor(private readonly service: DocumentService) {}

  @Mutation()
  applyDocuments(_root: unknown, { input }: MutationApplyDocumentsArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'ApplyDocumentsSuccess' as const,
      changes: await this.service.apply(principal, input),
      dryRun: input.dryRun,
    }));
  }

  @Mutation()
  removeDocument(_root: unknown, { input }: MutationRemoveDocumentArgs, { principal }: QueryContext) {
    return answered(async () => ({ __typename: 'RemoveDocumentSuccess' as const, change: await this.service.remove(principal, input) }));
  }
}

@Resolver('Document')
export class DocumentResolver implements DocumentResolvers {
  @ResolveField()
  content({ document }: DocumentRow): Document {
    return document;
  }
}
