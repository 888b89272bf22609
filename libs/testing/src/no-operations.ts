import type { FlowServices } from '#libs/flows';

const refused = (): Promise<never> => Promise.reject(new Error('The flow of this test uses no operation'));

/** For flows that use no operation of a connection. */
export const noOperations: FlowServices['operations'] = { of: () => ({ read: refused, call: refused }) };
