/**
 * How an enum value of the SDL is written in code, records and tables: `DEAD_LETTER` is `deadLetter`, `HIGH` is `high`; a value that is not
 * in capitals (`Flow`) is the same everywhere.
 */
export function internalValue(name: string): string {
  if (!/^[A-Z_]+$/.test(name)) return name;
  return name.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The inverse of {@link internalValue}. */
export function outerValue(value: string): string {
  return /^[A-Z]/.test(value) ? value : value.replaceAll(/[A-Z]/g, '_$&').toUpperCase();
}
