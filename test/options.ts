/** Returns the options that `parse` reads. If it throws, prints the reason and the usage, and ends the process with status 2. */
export function parsedOrExit<T>(usage: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return process.exit(2);
  }
}

/** The number that an option gives. @throws Error that names the option unless it is above 0 */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a number above 0; it is '${text}'`);
  return value;
}
