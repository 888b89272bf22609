import { flag, integer, optionalText } from '#libs/config';
import type { Settings } from '#libs/config';
import { processSettings } from '#libs/process';
import { doorSettings } from '#libs/service';

const own = {
  apiKey: optionalText('LOCAL_MODEL_API_KEY', { help: 'The bearer key callers must send; empty lets everyone in.', secret: true }),
  requestsPerMinute: integer(
    'LOCAL_MODEL_REQUESTS_PER_MINUTE',
    { min: 1, max: 100_000_000 },
    { help: 'Requests answered per minute, all callers together; more are answered 429.', fallback: '1000000' },
  ),
  tokensPerMinute: integer(
    'LOCAL_MODEL_TOKENS_PER_MINUTE',
    { min: 1, max: 1_000_000_000 },
    { help: 'Tokens read and written per minute, all callers together; more are answered 429.', fallback: '1000000000' },
  ),
  faults: flag('LOCAL_MODEL_FAULTS', {
    help: 'Whether callers on this machine may script failures, to test the rest of the system. Turn it off in production.',
    fallback: 'true',
  }),
};

export const localModelSettings = { ...doorSettings, ...processSettings, ...own };

/** The settings of the module. The other settings of the table belong to the process. */
export type LocalModelOptions = Settings<typeof own>;
/** The injection token of the {@link LocalModelOptions}. */
export const localModelOptions = Symbol('local model options');
