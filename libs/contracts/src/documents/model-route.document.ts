import { z } from 'zod';
import { documentOf } from './document-of.js';
import { modelName, refTo } from './references.js';

/** Kinds of failures after which another model may be asked, in the words of documents. */
export const fallbackReasons = [
  'unavailable',
  'limited',
  'credential',
  'misconfigured',
  'invalidOutput',
  'answerTooLarge',
  'refused',
] as const;
export type FallbackReason = (typeof fallbackReasons)[number];

export const modelRouteSpec = z.strictObject({
  candidates: z
    .array(
      z
        .strictObject({
          provider: refTo('ModelProvider')
            .optional()
            .describe('The name of the provider, a document of the same tenant; default: the provider of the installation.'),
          model: modelName.describe('The model’s name at the provider.'),
          timeoutMs: z
            .int()
            .min(100)
            .max(600_000)
            .optional()
            .describe(
              'The longest time for this candidate in ms, its retries and repairs included. Default: half of the time that is left, and all of it for the last candidate.',
            ),
        })
        .describe('A model of a provider.'),
    )
    .min(1)
    .max(10)
    .describe('The models in the order in which they are asked: 1 to 10.'),
  fallbackOn: z
    .array(z.enum(fallbackReasons))
    .max(fallbackReasons.length)
    .default(['unavailable', 'limited', 'credential', 'misconfigured', 'invalidOutput'])
    .describe(
      'The failures after which the next candidate is asked. `unavailable`: it cannot be reached, fails, does not answer in time, or is not called for now because too many calls failed. `limited`: its rate is used up. `credential`: it refuses the key. `misconfigured`: there is no model API at its address. `invalidOutput`: a gate refuses its output after all repairs. `answerTooLarge`: its answer is longer than any may be. `refused`: it refuses this request, such as for its length, its content, or an unknown model. Default: all but the last two, because they say something about the request.',
    ),
});
export type ModelRouteSpec = z.infer<typeof modelRouteSpec>;

export const modelRouteDocument = documentOf(
  'ModelRoute',
  modelRouteSpec.describe('Which models are asked, and when the next one is.'),
  'Models in the order in which they are asked, so that a failure of one does not stop the flows that name the route.',
);
export type ModelRouteDocument = z.infer<typeof modelRouteDocument>;
