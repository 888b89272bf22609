import type { ErrorRule, ResponseMeaning } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { LosslessNumber } from '#libs/json';
import { longestPauseMs, parseRetryAfter } from '#libs/retries';
import { wallTimeMs } from '#libs/time';
import type { OperationScope } from './connector.js';
import type { OperationAnswer, Response } from './exchange.js';
import { OperationFailure } from './operation.errors.js';
import type { OperationFailureCode } from './operation.errors.js';
import type { PeerCondition, Receipt } from './peer.js';

interface CompiledRule extends Omit<ErrorRule, 'when' | 'wait'> {
  readonly when: Expression;
  readonly wait: Expression | undefined;
}

/** The meaning of a response: success, or one of the failures. */
interface Meaning {
  readonly is: ResponseMeaning;
  readonly isUncertain: boolean;
  readonly retryAfterMs: number | undefined;
  readonly peer: PeerCondition;
}

type FailedMeaning = Exclude<ResponseMeaning, 'success'>;

const codes: Readonly<Record<FailedMeaning, OperationFailureCode>> = {
  permanent: 'operation.refused',
  limited: 'operation.limited',
  transient: 'operation.unavailable',
  credential: 'operation.unauthorized',
  conflict: 'operation.conflict',
  gone: 'operation.gone',
};
const verbs: Readonly<Record<FailedMeaning, string>> = {
  permanent: 'refused the request with',
  limited: 'asked for fewer requests with',
  transient: 'failed with',
  credential: 'refused the credential with',
  conflict: 'reported a conflict with',
  gone: 'is gone for good, it answered',
};

const longestMessage = 300;

/** Decides what responses mean: the first rule that applies, else the status. */
export class Judgement {
  private readonly rules: readonly CompiledRule[];
  private readonly message: Expression | undefined;

  constructor(rules: readonly ErrorRule[], message: string | undefined, options: { readonly owner: string }) {
    const compiled = (text: string): Expression => compileExpression(text, options);
    this.rules = rules.map((rule) => ({
      ...rule,
      when: compiled(rule.when),
      wait: rule.wait === undefined ? undefined : compiled(rule.wait),
    }));
    this.message = message === undefined ? undefined : compiled(message);
  }

  /** @throws OperationFailure if the response means anything else than success */
  async require(answer: OperationAnswer, scope: OperationScope, { isWrite }: { isWrite: boolean }): Promise<void> {
    const seen = { ...scope, response: answer.response };
    const { is, isUncertain, retryAfterMs, peer } = await this.meaningOf(answer, seen);
    if (is === 'success') return;
    const receipt = await this.receiptOf(answer, seen);
    const message = `The system ${verbs[is]} ${receipt.summary}`;
    throw new OperationFailure(codes[is], message, { peer, isUncertain: isWrite && isUncertain, receipt, retryAfterMs });
  }

  private async meaningOf(answer: OperationAnswer, seen: object): Promise<Meaning> {
    const { response } = answer;
    for (const rule of this.rules) {
      if ((await valueOf(rule.when, seen)) !== true) continue;
      const retryAfterMs = await waitOf(rule, response, seen);
      const isUncertain = rule.is === 'transient' && !(rule.certain ?? !isUncertainStatus(response.status, retryAfterMs));
      return { is: rule.is, isUncertain, retryAfterMs, peer: peerOf(rule.is, response.status) };
    }
    return byStatus(answer);
  }

  private async receiptOf({ receipt, flaw, redaction }: OperationAnswer, seen: object): Promise<Receipt> {
    const said = this.message === undefined ? undefined : await valueOf(this.message, seen);
    const words = [
      flaw === '' ? undefined : flaw,
      typeof said === 'string' && said !== '' ? `“${oneLine(redaction.apply(said))}”` : undefined,
    ];
    const summary = [receipt.summary, ...words.filter((word) => word !== undefined)].join(', ');
    return { ...receipt, summary };
  }
}

/** A text that stands in a sentence: no control characters, none that changes the direction of reading, and bounded. */
export function oneLine(text: string): string {
  const plain = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  return plain.length > longestMessage ? `${plain.slice(0, longestMessage)}…` : plain;
}

/** A rule that cannot be evaluated on a response does not apply to it. @throws EvaluationsBusy */
async function valueOf(expression: Expression, seen: object): Promise<unknown> {
  try {
    return await expression.evaluate(seen);
  } catch (error) {
    if (error instanceof ExpressionFailed) return undefined;
    throw error;
  }
}

async function waitOf({ wait, waitFrom, waitMs }: CompiledRule, { headers }: Response, seen: object): Promise<number | undefined> {
  const computed = wait === undefined ? undefined : await valueOf(wait, seen);
  const ms = computed instanceof LosslessNumber ? Number(computed) : computed;
  if (typeof ms === 'number' && ms >= 0) return Math.min(Math.ceil(ms), longestPauseMs);
  const named = waitFrom === undefined ? undefined : parseRetryAfter(headers[waitFrom], wallTimeMs());
  return named ?? waitMs;
}

function byStatus({ response: { status, headers }, isWhole }: OperationAnswer): Meaning {
  if (status >= 200 && status < 300)
    return isWhole
      ? { is: 'success', isUncertain: false, retryAfterMs: undefined, peer: 'up' }
      : { is: 'transient', isUncertain: true, retryAfterMs: undefined, peer: 'failing' };
  const asksForPause = status === 429 || status === 503;
  const retryAfterMs = asksForPause ? parseRetryAfter(headers['retry-after'], wallTimeMs()) : undefined;
  const is = statusMeaning(status);
  return { is, isUncertain: isUncertainStatus(status, retryAfterMs), retryAfterMs, peer: peerOf(is, status) };
}

/** A redirect is refused: the address of the connection is the one that was checked. */
function statusMeaning(status: number): ResponseMeaning {
  if (status === 429) return 'limited';
  if (status === 401) return 'credential';
  if (status === 409) return 'conflict';
  return status >= 500 || status === 408 || status === 425 ? 'transient' : 'permanent';
}

/** After a 5xx nobody knows how far the request came, but where it names a pause or says that it does no such thing (501, 505). */
function isUncertainStatus(status: number, pauseMs: number | undefined): boolean {
  return status >= 500 && pauseMs === undefined && status !== 501 && status !== 505;
}

function peerOf(is: ResponseMeaning, status: number): PeerCondition {
  if (is === 'limited' || is === 'gone') return is;
  if (is === 'credential') return 'unauthorized';
  return is === 'transient' && status >= 500 ? 'failing' : 'up';
}
