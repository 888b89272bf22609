/** Expressions are evaluated in processes that run compiled code, so that has to be up to date. */
export default async function setup(): Promise<void> {
  const { build } = (await import('../../tools/build/compile.mjs' as string)) as { build: () => Promise<void> };
  await build();
}
