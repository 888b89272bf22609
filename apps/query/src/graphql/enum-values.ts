/**
 * How an enum value of the SDL is written in code, records and tables: `DEAD_LETTER` is `deadLetter`, `HIGH` is `high`; a value that is not
 * in capitals (`Flow`) is the same everywhere.
 */
export function internalValue(name: string): string {
  if (!/^[A-Z_]+$/.test(name)) return name;
  return name.toLowerCase().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
