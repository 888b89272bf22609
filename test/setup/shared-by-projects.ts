interface Shared {
  readonly started: Promise<{ stop(): Promise<void> }>;
  users: number;
}

const shared = ((globalThis as { millraceTests?: Map<string, Shared> }).millraceTests ??= new Map<string, Shared>());

/**
 * Starts one server for all projects of a test run. Vitest sets each project up by itself, in one process but with modules of its own, so the
 * server is kept on `globalThis`.
 * @returns the server, and what the project's teardown calls: the last one stops it
 */
export async function sharedByProjects<Server extends { stop(): Promise<void> }>(
  name: string,
  start: () => Promise<Server>,
): Promise<{ server: Server; release: () => Promise<void> }> {
  const one = shared.get(name) ?? { started: start(), users: 0 };
  shared.set(name, one);
  one.users += 1;
  const server = (await one.started) as Server;
  return {
    server,
    release: async () => {
      one.users -= 1;
      if (one.users > 0) return;
      shared.delete(name);
      await server.stop();
    },
  };
}
