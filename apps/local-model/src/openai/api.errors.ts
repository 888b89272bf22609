/** An error in the API's format: a status and `{"error": {message, type, param, code}}`. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    message: string,
    readonly param: string | null = null,
    readonly code: string | null = null,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = new.target.name;
  }

  get body(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

export class InvalidRequest extends ApiError {
  constructor(message: string, param: string | null, code: string | null = null) {
    super(400, 'invalid_request_error', message, param, code);
  }
}

export class KeyRefused extends ApiError {
  constructor(given: boolean) {
    super(
      401,
      'invalid_request_error',
      given ? 'Incorrect API key provided.' : 'You did not provide an API key: send it as "Authorization: Bearer KEY".',
      null,
      given ? 'invalid_api_key' : null,
    );
  }
}

export class ModelUnknown extends ApiError {
  constructor(model: string, known: string) {
    super(
      404,
      'invalid_request_error',
      `The model '${model.slice(0, 100)}' does not exist here; there is only '${known}'.`,
      'model',
      'model_not_found',
    );
  }
}

export class RateLimited extends ApiError {
  constructor(message: string, waitMs: number) {
    super(429, 'rate_limit_exceeded', message, null, 'rate_limit_exceeded', {
      'retry-after': String(Math.ceil(waitMs / 1_000)),
      'retry-after-ms': String(waitMs),
    });
  }
}
