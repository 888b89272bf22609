import type { TrialOutcomeRow } from './trial.operations.js';

type Outcome = Pick<TrialOutcomeRow, 'eventId' | 'errorCode' | 'errorMessage'>;

const replay = ({ eventId }: Outcome): string => `replay ${eventId}, which does every step anew`;

/** @param actingStep undefined if the steps were too large to be kept */
const messages: Record<NonNullable<TrialOutcomeRow['obstacle']>, (outcome: Outcome, actingStep: string | undefined) => string> = {
  failed: ({ errorCode, errorMessage }) =>
    `The flow fails on it (${errorCode}): ${errorMessage}. Change the flow, and backtest that version`,
  acts: (outcome, step) =>
    `${step === undefined ? 'A step' : `The step ${step}`} acts in another system, and its output here is that of the stored run. A promotion would send the operation a second time, and what follows could be otherwise than shown: ${replay(outcome)} and sends it again, or leave it`,
  givenOutputs: () => 'Outputs of steps were given, so no step yielded them: try the flow without `outputs`',
  tooLarge: (outcome) => `The results of its steps are too large to be kept: ${replay(outcome)}`,
  part: () => 'Only one step was tried: try the whole flow',
  sample: () => 'The event never came, so it has no generations: send it to a source',
  document: () => 'The flow is not applied: apply it, and backtest that version',
  notRun: () => 'The flow does not run on it: change its `on`, and backtest that version',
};

/** Why an outcome cannot become a generation of its event, and what to do instead. */
export function obstacleMessage(outcome: TrialOutcomeRow, actingStep: string | undefined): string {
  return messages[outcome.obstacle!](outcome, actingStep);
}
