import { z } from 'zod';
import { isBearer } from '#libs/auth';
import { startStandIn } from '#libs/connectors';
import type { StandInRequest, StandInResponse } from '#libs/connectors';
import type { Json } from '#libs/json';
import { freePort, isFree } from '#libs/ports';
import { wallTime } from '#libs/time';
import { backofficeSystem } from './backoffice.system.js';
import { hubSpotSystem } from './hubspot.system.js';
import { startSampleMailServer } from './mail.server.js';
import type { SampleMail } from './mail.server.js';
import { clipped } from './sample.system.js';
import type { SampleSystem } from './sample.system.js';
import { shopifySystem } from './shopify.system.js';
import { slackSystem } from './slack.system.js';

/** The addresses of the sample systems. */
export interface SampleSystemPorts {
  /** The port of the systems that speak HTTP, each below its name, such as `/slack`. */
  readonly port: number;
  /** The port of the mail server. */
  readonly mailPort: number;
}

export interface SampleSystems extends SampleSystemPorts {
  readonly stop: () => Promise<void>;
}

interface Effect {
  readonly number: number;
  readonly at: string;
  readonly text: string;
}

const keptEffects = 1_000;
const keptMails = 100;

/**
 * Starts stand-ins of foreign systems on loopback, whatever the process listens on. Whoever writes to one needs the token; everybody on the machine
 * may look at what they have.
 * @param before the ports of the last start, which are taken again if they are free: documents name them
 */
export async function startSampleSystems(token: string, before: SampleSystemPorts | undefined): Promise<SampleSystems> {
  const systems: Readonly<Record<string, SampleSystem>> = {
    backoffice: backofficeSystem(),
    hubspot: await hubSpotSystem(),
    shopify: await shopifySystem(),
    slack: await slackSystem(),
  };
  const effects: Effect[] = [];
  const mails: SampleMail[] = [];
  let counted = 0;
  const note = (text: string): void => {
    counted += 1;
    effects.push({ number: counted, at: wallTime().toISOString(), text });
    effects.splice(0, effects.length - keptEffects);
  };
  const onMail = (mail: SampleMail): void => {
    mails.unshift(mail);
    mails.splice(keptMails);
    note(`mail to ${mail.to.join(', ')}: ${clipped(mail.subject)}`);
  };
  const handle = (request: StandInRequest): StandInResponse => {
    const [name = '', ...segments] = request.segments;
    const isLook = request.method === 'GET' && segments.length === 0;
    if (isLook && name === '')
      return ok({ systems: [...Object.keys(systems), 'mail'].map((one) => `/${one}`), effects: '/effects?after=0' });
    if (isLook && name === 'effects') return ok(effects.filter(({ number }) => number > Number(request.query.get('after') ?? 0)));
    if (isLook && name === 'mail') return ok(mails);
    const system = Object.hasOwn(systems, name) ? systems[name] : undefined;
    if (system === undefined) return refusal(404, `There is no sample system ${name}`);
    if (isLook) return ok(system.content());
    if (!hasToken(request, token)) return refusal(401, 'The token of the sample systems is missing or wrong');
    if (request.method === 'PUT' && segments.length === 0) return put(system, request.body);
    const seen = { ...request, segments };
    const response = system.handle(seen);
    system.effectsOf(seen, response).forEach(note);
    return response;
  };
  const server = await startStandIn(handle, { port: await portLike(before?.port), keepsRequests: false });
  const mailServer = await startSampleMailServer(await portLike(before?.mailPort), onMail).catch(async (error: unknown) => {
    await server.stop();
    throw error;
  });
  return {
    port: Number(new URL(server.url).port),
    mailPort: mailServer.port,
    stop: async () => {
      await mailServer.stop();
      await server.stop();
    },
  };
}

/** The address of the sample systems that speak HTTP. */
export function sampleSystemsUrl({ port }: SampleSystemPorts): string {
  return `http://127.0.0.1:${port}`;
}

/** The port if it is free, else another one. */
async function portLike(port: number | undefined): Promise<number> {
  return port !== undefined && (await isFree(port)) ? port : freePort();
}

function ok(body: unknown): StandInResponse {
  return { status: 200, body: body as object };
}

function refusal(status: number, message: string): StandInResponse {
  return { status, body: { message } };
}

/** Shopify has a header of its own for tokens. */
function hasToken({ headers }: StandInRequest, token: string): boolean {
  const { authorization, 'x-shopify-access-token': ofShopify } = headers;
  return isBearer(ofShopify === undefined ? authorization : `Bearer ${ofShopify}`, token);
}

function put(system: SampleSystem, content: Json | undefined): StandInResponse {
  try {
    system.put(content);
    return { status: 204 };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    return refusal(400, z.prettifyError(error));
  }
}
