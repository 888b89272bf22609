import type { ConnectionHealth, OperationResult } from '../connector.js';
import type { Driver, DriverCall, DriverTools, DriverUse } from '../driver.js';
import { Sessions } from '../sessions.js';
import { mailOf } from './mail.js';
import type { MailInput } from './mail.js';
import { receiptOf } from './smtp.failure.js';
import { SmtpSession } from './smtp.session.js';

/** Sends mails over sessions that are kept for a moment, because a server makes more of a new one than of a mail. */
export class SmtpDriver implements Driver {
  private readonly sessions: Sessions<SmtpSession>;

  constructor({ http }: DriverTools) {
    const kind = {
      open: (use: DriverUse) => SmtpSession.open(use, http),
      close: (session: SmtpSession) => session.close(),
      isUsable: (session: SmtpSession) => session.isUsable,
    };
    this.sessions = new Sessions(kind, { idleMs: 5_000, mostIdle: 5 });
  }

  async run(call: DriverCall): Promise<OperationResult> {
    const { input, settings, effectKey, firstAttemptAt: date, signal } = call;
    const mail = await mailOf(input as unknown as MailInput, { settings, effectKey, date });
    return this.sessions.use(call, async (session) => {
      const { accepted, rejectedErrors = [], response } = await session.send(mail, signal);
      const { redaction } = session;
      const receipt = receiptOf(Number(response.slice(0, 3)), response, redaction);
      const rejected = rejectedErrors.map(({ recipient = '', responseCode, response: said = '' }) => ({
        address: recipient,
        ...(responseCode === undefined ? {} : { code: responseCode }),
        response: redaction.apply(said).slice(0, 300),
      }));
      return {
        output: { messageId: mail.messageId, accepted, rejected, response: redaction.apply(response).slice(0, 300) },
        receipt: rejected.length === 0 ? receipt : withRefusals(receipt, rejected.length, mail.envelope.to.length),
      };
    });
  }

  /** Connects anew and logs in. */
  async check(use: DriverUse): Promise<ConnectionHealth> {
    const { login, settings } = use;
    return this.sessions.use(use, async () => ({ account: login.username ?? (settings['username'] as string | undefined) }));
  }

  async close(): Promise<void> {
    await this.sessions.close();
  }
}

function withRefusals(receipt: OperationResult['receipt'], refused: number, all: number): OperationResult['receipt'] {
  return { ...receipt, summary: `${receipt.summary}, with ${refused} of ${all} recipients refused` };
}
