/**
 * Compiles patterns to a function that tells whether an event's type fits one of them. `*` stands for any characters, none included
 * (`invoice.*`); every other character stands for itself. Compile once per document.
 */
export function typeMatcher(patterns: readonly string[]): (type: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const wild = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('*'));
  return (type) => exact.has(type) || wild.some((pieces) => fits(type, pieces));
}

/** Matches the pieces between the stars in order: the first and last at the ends, each other one at its first occurrence. */
function fits(type: string, pieces: readonly string[]): boolean {
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  if (!type.startsWith(first) || !type.endsWith(last) || type.length < first.length + last.length) return false;
  let from = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const at = type.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return from <= type.length - last.length;
}
