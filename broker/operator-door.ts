/**
 * The door for operators' tools on the same machine: a socket in the data folder. A question is one
 * JSON line, the answer JSON lines: `{"ask":"logs"}` gives a line for each log and one of gauges,
 * `{"ask":"compact", topicId, partition, below}` has a log cleaned below an offset, with a line now
 * and then while that lasts, and one of the outcome.
 */

import type { Timer } from '../storage/env.ts';
import { StorageError } from '../storage/errors.ts';
import type { LiveLog } from '../storage/inspect/live.ts';
import type { StorageGauges } from '../storage/types.ts';
import type { Services } from './services.ts';

export type DoorQuestion =
  | { readonly ask: 'logs' }
  | {
      readonly ask: 'compact';
      readonly topicId: string;
      readonly partition: number;
      readonly below: number;
    };

/** One line of an answer. */
export type DoorLine =
  | { readonly log: LiveLog }
  | { readonly gauges: StorageGauges }
  | { readonly working: true }
  | { readonly cleaned: boolean }
  | { readonly refused: string };

type DoorServices = Pick<Services, 'logs' | 'env'>;
type Tell = (line: DoorLine) => Promise<void>;

/** Logs told of in one turn, so that many do not hold up clients. */
const LOGS_IN_TURN = 100;
/** How often a line says that the answer is still to come. */
const WORKING_MS = 2000;

export async function answerOperator(
  services: DoorServices,
  text: string,
  send: (line: string) => Promise<void>,
): Promise<void> {
  const tell: Tell = (line) => send(JSON.stringify(line));
  const question = parseQuestion(text);
  if (question === undefined) return tell({ refused: 'that is no question' });
  if (question.ask === 'logs') return tellLogs(services, tell);
  return compact(services, question, tell);
}

async function tellLogs({ logs, env }: DoorServices, tell: Tell): Promise<void> {
  let inTurn = 0;
  for (const log of logs.live()) {
    await tell({ log });
    if (++inTurn % LOGS_IN_TURN === 0) {
      await new Promise<void>((resolve) => env.clock.defer(resolve));
    }
  }
  await tell({ gauges: logs.gauges() });
}

async function compact(
  { logs, env }: DoorServices,
  { topicId, partition, below }: Extract<DoorQuestion, { ask: 'compact' }>,
  tell: Tell,
): Promise<void> {
  let timer: Timer | undefined;
  const stillWorking = () => {
    timer = env.clock.setTimer(WORKING_MS, () => {
      // Who asked may have gone; the cleaning goes on.
      tell({ working: true }).then(stillWorking, () => {});
    });
  };
  stillWorking();
  let line: DoorLine;
  try {
    line = { cleaned: await logs.cleanNow(topicId, partition, below) };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    line = { refused: error.message };
  } finally {
    timer?.cancel();
  }
  await tell(line);
}

function parseQuestion(text: string): DoorQuestion | undefined {
  let question: { readonly [name: string]: unknown } | null;
  try {
    question = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { ask, topicId, partition, below } = question ?? {};
  if (ask === 'logs') return { ask };
  const isWhole =
    typeof topicId === 'string' && typeof partition === 'number' && typeof below === 'number';
  return ask === 'compact' && isWhole ? { ask, topicId, partition, below } : undefined;
}
