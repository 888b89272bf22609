import type { ConnectorOperation, ConnectorSpec } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { compileSchema } from '#libs/schemas';
import type { CompiledSchema } from '#libs/schemas';
import { timeoutSignal, wallTime } from '#libs/time';
import { addressOf, compileBase, requireHost } from './address.js';
import type { OperationCall, OperationResult, OperationScope, RequestMaker, RequestParts } from './connector.js';
import { exchange, timedOut } from './exchange.js';
import type { OperationAnswer } from './exchange.js';
import { Judgement } from './judgement.js';
import { InputRefused, OperationFailure } from './operation.errors.js';
import { compilePaging } from './pages.js';
import type { CompiledPaging, PagePosition } from './pages.js';
import type { Receipt } from './peer.js';
import { compileRequest } from './request.js';
import type { CompiledRequest } from './request.js';
import { withDefaults } from './settings.js';

export interface CompileOptions {
  readonly http: HttpClient;
  /** The tenant whose share of the evaluations the expressions use. */
  readonly owner: string;
  /** Makes the request, if the connector is code. */
  readonly make?: RequestMaker | undefined;
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

/** The moments of one call. */
interface Run {
  readonly call: OperationCall;
  readonly scope: OperationScope;
  readonly endsAtMs: number;
  /** Ends with the call's signal, and at the deadline. */
  readonly untilDeadline: AbortSignal;
}

/** An operation that was compiled: it checks its input, makes the request, judges the response, and makes the output. */
export class CompiledOperation {
  private readonly base: (scope: OperationScope) => URL;
  private readonly request: CompiledRequest;
  private readonly judgement: Judgement;
  private readonly input: CompiledSchema;
  private readonly output: CompiledSchema;
  private readonly result: ReturnType<typeof compileExpression> | undefined;
  private readonly paging: CompiledPaging | undefined;
  private readonly isWrite: boolean;
  private readonly readsAccount: boolean;

  constructor(
    private readonly name: string,
    private readonly spec: ConnectorOperation,
    private readonly connector: ConnectorSpec,
    private readonly options: CompileOptions,
  ) {
    const { owner, make } = options;
    this.isWrite = spec.effect === 'write';
    this.readsAccount = JSON.stringify([connector, spec]).includes('account.');
    this.base = compileBase(connector.base, this.egress());
    this.request = make === undefined ? compileRequest(spec.request!, connector.headers, { owner }) : async (scope) => make(scope);
    this.judgement = new Judgement([...spec.errors, ...connector.errors], connector.message, { owner });
    this.input = compileSchema(spec.input, { owner });
    this.output = compileSchema(spec.output, { owner });
    this.result = spec.result === undefined ? undefined : compileExpression(spec.result, { owner });
    this.paging = spec.paging === undefined ? undefined : compilePaging(spec.paging, { owner });
  }

  /** @throws OperationFailure, what the authorizer throws, EvaluationsBusy, the signal's reason */
  async run(call: OperationCall): Promise<OperationResult> {
    return this.within(call, async (run) => {
      if (this.paging !== undefined) return this.all(run, this.paging);
      const { answer } = await this.ask(run, (parts, base) => [parts, addressOf(base, parts)]);
      return { output: await this.outputOf(run, answer), receipt: answer.receipt };
    });
  }

  /** One page of a list. @throws as {@link run} */
  async page(call: OperationCall, position: PagePosition | undefined): Promise<OperationPage> {
    const { paging } = this;
    if (paging === undefined) throw new Error(`The operation ${this.name} reads no list`);
    return this.within(call, (run) => this.pageAt(run, paging, position ?? paging.first));
  }

  private egress() {
    return { hosts: this.connector.hosts, isAllowed: (url: URL) => this.options.http.isAllowed(url) };
  }

  /** Does the work within the deadline of the connection, and gives what it throws its meaning. */
  private async within<T>(call: OperationCall, work: (run: Run) => Promise<T>): Promise<T> {
    const { connection, effectKey, firstAttemptAt = wallTime() } = call;
    const { timeoutMs, settings, authorizer } = connection;
    const deadline = timeoutSignal(timeoutMs);
    const untilDeadline = AbortSignal.any([call.signal, deadline]);
    const endsAtMs = performance.now() + timeoutMs;
    const scopeWith = (account: OperationScope['account']): OperationScope => ({
      input: call.input,
      settings: withDefaults(this.connector.settings, settings),
      account,
      delivery: {
        id: effectKey,
        firstAttemptAt: firstAttemptAt.toISOString(),
        firstAttemptSeconds: Math.floor(firstAttemptAt.getTime() / 1_000),
      },
    });
    try {
      await this.requireInput(call.input);
      const scope = scopeWith(this.readsAccount ? await authorizer.account(untilDeadline) : {});
      return await work({ call, scope, endsAtMs, untilDeadline });
    } catch (error) {
      call.signal.throwIfAborted();
      if (deadline.aborted && error === deadline.reason) throw timedOut(`${connection.name} did not answer within ${timeoutMs} ms`, false);
      throw inputFailure(error) ?? error;
    }
  }

  private async requireInput(input: Json): Promise<void> {
    const problems = await this.input.problemsOf(input);
    if (problems.length > 0) throw new InputRefused(`The input does not fit the operation ${this.name}: ${words(problems, 'the input')}`);
  }

  private async all(run: Run, paging: CompiledPaging): Promise<OperationResult> {
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
    await this.requireOutput(output, receipt!);
    return { output, receipt: receipt! };
  }

  private async pageAt(run: Run, paging: CompiledPaging, position: PagePosition): Promise<OperationPage> {
    const { cursor, number, offset } = position;
    const paged = { ...run, scope: { ...run.scope, page: { cursor, number, offset } } };
    const { answer, url } = await this.ask(paged, (parts, base) => {
      const address =
        position.url === undefined ? addressOf(base, { ...parts, query: paging.queryAt(position, parts.query) }) : new URL(position.url);
      requireHost(address, this.egress());
      return [parts, address];
    });
    const page = await paging.read(position, paged.scope, answer.response, url);
    return { ...page, receipt: answer.receipt };
  }

  /** Makes the request, a second time if a newer credential may help, and judges the response. */
  private async ask(
    { call, scope, endsAtMs, untilDeadline }: Run,
    address: (parts: RequestParts, base: URL) => [RequestParts, URL],
  ): Promise<{ answer: OperationAnswer; url: URL }> {
    const [{ method, headers, body }, url] = address(await this.request(scope), this.base(scope));
    const outbound = {
      method,
      url: url.href,
      headers: { accept: 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
    };
    const { traceparent, signal } = call;
    const options = { isWrite: this.isWrite, maxBodyBytes: this.spec.maxBodyBytes, endsAtMs, traceparent, signal, untilDeadline };
    const send = (): Promise<OperationAnswer> => exchange(this.options.http, call.connection, outbound, options);
    const first = await send();
    try {
      await this.judgement.require(first, scope, { isWrite: this.isWrite });
      return { answer: first, url };
    } catch (error) {
      if (!(error instanceof OperationFailure) || error.code !== 'operation.unauthorized') throw error;
      if (!(await call.connection.authorizer.refused(first.request, untilDeadline))) throw error;
    }
    const second = await send();
    await this.judgement.require(second, scope, { isWrite: this.isWrite });
    return { answer: second, url };
  }

  private async outputOf({ scope }: Run, { response, receipt }: OperationAnswer): Promise<Json> {
    let output: Json | undefined = response.body;
    try {
      if (this.result !== undefined) output = await this.result.evaluate({ ...scope, response });
    } catch (error) {
      if (error instanceof ExpressionFailed) throw this.outputInvalid(error.message, receipt, error);
      throw error;
    }
    await this.requireOutput(output ?? null, receipt);
    return output ?? null;
  }

  private async requireOutput(output: Json, receipt: Receipt): Promise<void> {
    const problems = await this.output.problemsOf(output);
    if (problems.length > 0) throw this.outputInvalid(words(problems, 'the output'), receipt);
  }

  private outputInvalid(why: string, receipt: Receipt, cause?: unknown): OperationFailure {
    const message = `The operation ${this.name} was answered with ${receipt.summary}, of which it can make no output: ${why}`;
    return new OperationFailure('operation.outputInvalid', message, { peer: 'up', receipt, cause });
  }
}

/** Problems of a value, one line each, name it as a whole or by a path within it. */
function words(problems: readonly string[], what: string): string {
  return problems.map((problem) => problem.replace(/^the answer\b/, what)).join('; ');
}

function inputFailure(error: unknown): OperationFailure | undefined {
  if (!(error instanceof InputRefused || error instanceof ExpressionFailed || error instanceof URIError)) return undefined;
  return new OperationFailure('operation.inputInvalid', error.message, { peer: 'unknown', cause: error });
}
