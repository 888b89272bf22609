import type { ConnectorOperation } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { addressOf, compileBase, requireHost } from './address.js';
import type { HttpConnectorSpec, OperationCall, OperationResult, OperationScope, RequestMaker, RequestParts } from './connector.js';
import { exchange, unreadableBody } from './exchange.js';
import type { OperationAnswer, Response } from './exchange.js';
import { Judgement } from './judgement.js';
import { OperationFailure } from './operation.errors.js';
import { OperationFrame } from './operation-frame.js';
import type { OperationRun } from './operation-frame.js';
import { compilePaging } from './pages.js';
import type { CompiledPaging, PagePosition } from './pages.js';
import type { Receipt } from './peer.js';
import { compileRequest } from './request.js';
import type { CompiledRequest } from './request.js';
import { XmlRefused } from '#libs/xml';

export interface CompileOptions {
  readonly http: HttpClient;
  /** The tenant whose share of the evaluations the expressions use. */
  readonly owner: string;
  /** Makes the request, if the connector is code. */
  readonly make?: RequestMaker | undefined;
  /** Makes the output of the text of a response that means success, if the connector is code. Default: the expression of the operation. @throws XmlRefused */
  readonly read?: ((text: string) => Json) | undefined;
  /** The flaw of a whole response that is not of the connector's kind, as words of a sentence. */
  readonly flawOf?: ((response: Response) => string | undefined) | undefined;
}

/** The most items that one call of a list returns. */
const mostItems = 10_000;

/** One page of a list. */
export interface OperationPage {
  readonly items: readonly Json[];
  /** The start of the next page; undefined after the last one. */
  readonly next: PagePosition | undefined;
  readonly receipt: Receipt;
}

/** An operation that is sent as requests of HTTP: it checks its input, makes the request, judges the response, and makes the output. */
export class CompiledOperation {
  private readonly base: (scope: OperationScope) => URL;
  private readonly request: CompiledRequest;
  private readonly judgement: Judgement;
  private readonly frame: OperationFrame;
  private readonly result: ReturnType<typeof compileExpression> | undefined;
  private readonly bytes: ReturnType<typeof compileExpression> | undefined;
  private readonly paging: CompiledPaging | undefined;
  private readonly isWrite: boolean;

  constructor(
    private readonly name: string,
    private readonly spec: ConnectorOperation,
    private readonly connector: HttpConnectorSpec,
    private readonly options: CompileOptions,
  ) {
    const { owner, make } = options;
    this.isWrite = spec.effect === 'write';
    this.base = compileBase(connector.base, this.egress());
    this.request = make === undefined ? compileRequest(spec.request!, connector.headers, { owner }) : async (scope) => make(scope);
    this.judgement = new Judgement([...spec.errors, ...connector.errors], connector.message, { owner });
    this.frame = new OperationFrame(name, { spec, connector, owner });
    this.result = spec.result === undefined ? undefined : compileExpression(spec.result, { owner });
    this.bytes = spec.bytes === undefined ? undefined : compileExpression(spec.bytes, { owner });
    this.paging = spec.paging === undefined ? undefined : compilePaging(spec.paging, { owner });
  }

  /** @throws OperationFailure, what the authorizer throws, EvaluationsBusy, the signal's reason */
  async run(call: OperationCall): Promise<OperationResult> {
    return this.frame.within(call, async (run) => {
      if (this.paging !== undefined) return this.all(run, this.paging);
      const { answer } = await this.ask(run, (parts, base) => [parts, addressOf(base, parts)]);
      return { output: await this.outputOf(run, answer), receipt: answer.receipt };
    });
  }

  /** One page of a list. @throws as {@link run} */
  async page(call: OperationCall, position: PagePosition | undefined): Promise<OperationPage> {
    const { paging } = this;
    if (paging === undefined) throw new Error(`The operation ${this.name} reads no list`);
    return this.frame.within(call, (run) => this.pageAt(run, paging, position ?? paging.first));
  }

  private egress() {
    return { hosts: this.connector.hosts, isAllowed: (url: URL) => this.options.http.isAllowed(url) };
  }

  private async all(run: OperationRun, paging: CompiledPaging): Promise<OperationResult> {
    const items: Json[] = [];
    const known = new Set<string>();
    let receipt: Receipt | undefined;
    let position: PagePosition | undefined = paging.first;
    for (let pages = 0; position !== undefined && pages < paging.maxPages && items.length < mostItems; pages += 1) {
      const key = JSON.stringify(position.url ?? [position.cursor, position.cursor === null ? position.offset : 0]);
      if (known.has(key)) break; // the list would go round in a circle
      known.add(key);
      const page: OperationPage = await this.pageAt(run, paging, position);
      items.push(...page.items);
      ({ receipt, next: position } = page);
    }
    const output = items.slice(0, mostItems);
    await this.frame.requireOutput(output, receipt!);
    return { output, receipt: receipt! };
  }

  private async pageAt(run: OperationRun, paging: CompiledPaging, position: PagePosition): Promise<OperationPage> {
    const { cursor, number, offset } = position;
    const paged = { ...run, scope: { ...run.scope, page: { cursor, number, offset } } };
    const { answer, url } = await this.ask(paged, (parts, base) => {
      const address =
        position.url === undefined ? addressOf(base, { ...parts, query: paging.queryAt(position, parts.query) }) : new URL(position.url);
      requireHost(address, this.egress());
      return [parts, address];
    });
    const page = await this.made(answer, () => paging.read(position, paged.scope, answer.response, url));
    return { ...page, receipt: answer.receipt };
  }

  /** Makes the request, a second time if a newer credential may help, and judges the response. */
  private async ask(
    { call, scope, endsAtMs, untilDeadline }: OperationRun,
    address: (parts: RequestParts, base: URL) => [RequestParts, URL],
  ): Promise<{ answer: OperationAnswer; url: URL }> {
    const [{ method, headers, body }, url] = address(await this.request(scope), this.base(scope));
    const outbound = {
      method,
      url: url.href,
      headers: { accept: 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
    };
    const { secrets, traceparent, requireClaim, signal } = call;
    const { isWrite } = this;
    const { maxBodyBytes } = this.spec;
    const wantsBytes = (await this.bytes?.evaluate(scope)) === true;
    const options = { isWrite, maxBodyBytes, wantsBytes, secrets, endsAtMs, traceparent, requireClaim, signal, untilDeadline };
    const send = (): Promise<OperationAnswer> => exchange(this.options.http, call.connection, outbound, options);
    const first = await send();
    try {
      await this.require(first, scope);
      return { answer: first, url };
    } catch (error) {
      if (!(error instanceof OperationFailure) || error.code !== 'operation.unauthorized') throw error;
      if (!(await call.connection.authorizer.refused(first.request, untilDeadline))) throw error;
    }
    const second = await send();
    await this.require(second, scope);
    return { answer: second, url };
  }

  /** A read whose answer is too long was answered: it would be as long the next time, and no rule can see what it says. */
  private async require(answer: OperationAnswer, scope: OperationScope): Promise<void> {
    const { isWrite } = this;
    const { status } = answer.response;
    const isCutOff = answer.isTooLong && status >= 200 && status < 300;
    if (isWrite || !isCutOff) {
      const flaw = answer.flaw === '' ? (this.options.flawOf?.(answer.response) ?? '') : answer.flaw;
      return this.judgement.require({ ...answer, flaw }, scope, { isWrite });
    }
    const why = `the body is longer than maxBodyBytes of the operation, ${this.spec.maxBodyBytes}: ask for less at once, or raise it in the connector`;
    throw this.frame.outputInvalid(why, answer.receipt);
  }

  private async outputOf({ scope }: OperationRun, answer: OperationAnswer): Promise<Json> {
    const { result } = this;
    const { response, receipt } = answer;
    const { read } = this.options;
    const make = async (): Promise<Json | undefined> =>
      read === undefined ? await result?.evaluate({ ...scope, response }) : read(response.text);
    const output = result === undefined && read === undefined ? response.body : await this.made(answer, make);
    const unread = read === undefined && readsBody(result?.text) ? unreadableBody(answer) : undefined;
    await this.frame.requireOutput(output ?? null, receipt, unread);
    return output ?? null;
  }

  /** The value that expressions make of a response. */
  private async made<T>(answer: OperationAnswer, make: () => Promise<T>): Promise<T> {
    try {
      return await make();
    } catch (error) {
      if (!(error instanceof ExpressionFailed || error instanceof XmlRefused)) throw error;
      const unread = error instanceof ExpressionFailed && readsBody(error.expression) ? unreadableBody(answer) : undefined;
      throw this.frame.outputInvalid(unread ?? error.message, answer.receipt, error);
    }
  }
}

/** @param expression default: the body itself */
function readsBody(expression: string | undefined): boolean {
  return expression === undefined || expression.includes('response.body');
}
