import { z } from 'zod';
import { expression } from '../references.js';

/** Computes its output. */
export const mapStep = z.strictObject({ expression });
