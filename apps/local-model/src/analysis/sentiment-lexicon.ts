import lexicon from './sentiment-lexicon.json' with { type: 'json' };

/**
 * Weights of words and phrases of support and commerce, -5 to 5. They take precedence over AFINN's general list, where a refund is bad and a request
 * for help is pleasant; phrases take precedence over their words. 0: the term is polite or neutral in a ticket.
 */
export const domainLexicon = weights(lexicon.words);

/** Factors by which a word before a term strengthens (above 1) or weakens it. */
export const degrees = weights(lexicon.degrees);

function weights(groups: readonly { weight: number; terms: readonly string[] }[]): Readonly<Record<string, number>> {
  return Object.fromEntries(groups.flatMap(({ weight, terms }) => terms.map((term) => [term, weight])));
}
