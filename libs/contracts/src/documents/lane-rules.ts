import { z } from 'zod';
import { lanes } from '../names.js';

/** How the lane of events is chosen. */
export const laneRules = z
  .strictObject({
    default: z.enum(lanes).default('normal').describe('The lane of events that no rule matches.'),
    rules: z
      .array(
        z.strictObject({
          types: z.array(z.string().min(1).max(256)).min(1).max(100).describe('Patterns of event types; `*` matches any text.'),
          lane: z.enum(lanes).describe('The lane of the events that match.'),
        }),
      )
      .max(100)
      .default([])
      .describe('The first rule with a matching pattern wins.'),
  })
  .default({ default: 'normal', rules: [] })
  .describe('How urgent the events are. Each lane has workers of its own, and events of one customer keep their order within a lane.');
