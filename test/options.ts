/** Returns the options that `parse` reads. If it throws, prints the reason and the usage, and ends the process with status 2. */
export function parsedOrExit<T>(usage: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return process.exit(2);
  }
}
