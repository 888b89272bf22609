import { bodyOf, textOf } from './answer-body.js';

/** An error as providers put it into a body: of an error status, of a response with status 200, or of an event in a stream. */
export interface ErrorBody {
  readonly message: string;
  readonly code?: string | undefined;
  readonly type?: string | undefined;
  /** The status that the error stands for, if the body names one. */
  readonly status?: number | undefined;
  /** True if the error says that the moderation of the provider objects to the input. */
  readonly isModeration: boolean;
  /** True if the body does not say that it is an error: it has a member that could be a reason, and no answer. */
  readonly isGuess?: boolean;
}

/** Reads the error in the text of a response with an error status. */
export function errorIn(text: string): ErrorBody {
  let value: unknown;
  try {
    // oxlint-disable-next-line no-restricted-properties -- only texts and the status are read
    value = JSON.parse(text);
  } catch {
    const title = /<title>([^<]*)/i.exec(text)?.[1] ?? (text.trimStart().startsWith('<') ? 'a web page' : text);
    return { message: title.trim() || 'no body', isModeration: false };
  }
  return errorOf(Array.isArray(value) ? value[0] : value) ?? { message: 'no reason', isModeration: false };
}

/**
 * Reads the error of a JSON body: `{"error": {…}}`, `{"error": "…"}`, `{"object": "error", …}`, `{"detail": …}`, `{"message": …}`.
 * Undefined if the body is no error.
 */
export function errorOf(value: unknown): ErrorBody | undefined {
  const body = bodyOf(value);
  const { error } = body;
  if (typeof error === 'string' && error !== '') return errorFrom({ ...body, message: error });
  if (typeof error === 'object' && error !== null) return errorFrom(error);
  if ((body['message'] ?? body['detail'] ?? body['errors']) === undefined) return undefined;
  if (body['object'] === 'error' || body['type'] === 'error') return errorFrom(body);
  return 'choices' in body || 'output' in body ? undefined : { ...errorFrom(body), isGuess: true };
}

/** Reads the members of an error object. */
export function errorFrom(value: unknown): ErrorBody {
  const error = bodyOf(value);
  const { code, type, message, detail, errors, param, status, metadata } = error;
  const said = message ?? detail ?? errors ?? code ?? type ?? param;
  const { raw, reasons, flagged_input } = bodyOf(metadata);
  const more = textOf(raw);
  return {
    message: `${typeof said === 'string' ? said : (JSON.stringify(said) ?? 'no reason')}${more === undefined ? '' : `: ${more}`}`,
    code: textOf(code) ?? textOf(error['reason']),
    type: textOf(type) ?? textOf(status),
    status: statusOf(code) ?? statusOf(status) ?? statusOf(error['status_code']),
    isModeration: reasons !== undefined || flagged_input !== undefined || 'content_filter_result' in bodyOf(error['innererror']),
  };
}

function statusOf(value: unknown): number | undefined {
  const status = typeof value === 'string' && /^[3-5]\d\d$/.test(value) ? Number(value) : value;
  return typeof status === 'number' && status >= 300 && status < 600 ? status : undefined;
}
