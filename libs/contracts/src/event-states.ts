/** How far an event got, in the order in which it gets there. */
export const eventStates = ['recorded', 'running', 'delivering', 'completed', 'parked'] as const;
