/**
 * The door for operators' tools on the same machine: a socket in the data folder. A question is one
 * JSON line, the answer JSON lines: `{"ask":"logs"}` gives a line for each log and one of gauges.
 */

import type { LiveLog } from '../storage/inspect/live.ts';
import type { StorageGauges } from '../storage/types.ts';
import type { Services } from './services.ts';

export type DoorQuestion = { readonly ask: 'logs' };

/** One line of an answer. */
export type DoorLine =
  | { readonly log: LiveLog }
  | { readonly gauges: StorageGauges }
  | { readonly refused: string };

/** Logs told of in one turn, so that many do not hold up clients. */
const LOGS_IN_TURN = 100;

export async function answerOperator(
  { logs, env }: Pick<Services, 'logs' | 'env'>,
  text: string,
  send: (line: string) => Promise<void>,
): Promise<void> {
  const tell = (line: DoorLine) => send(JSON.stringify(line));
  const question = parseQuestion(text);
  if (question === undefined) return tell({ refused: 'that is no question' });
  let inTurn = 0;
  for (const log of logs.live()) {
    await tell({ log });
    if (++inTurn % LOGS_IN_TURN === 0) {
      await new Promise<void>((resolve) => env.clock.defer(resolve));
    }
  }
  await tell({ gauges: logs.gauges() });
}

function parseQuestion(text: string): DoorQuestion | undefined {
  try {
    const question = JSON.parse(text) as Partial<DoorQuestion> | null;
    return question?.ask === 'logs' ? { ask: 'logs' } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
