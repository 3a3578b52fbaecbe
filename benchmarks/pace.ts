/** Doing something so many times a second. */

/** How long the timer sleeps while nothing is due. */
const SLEEP_MS = 1;

/**
 * Calls `act` at a steady rate for some seconds. What came due while the process slept is done at
 * once, without waiting for anything that `act` started: the rate does not sink when the broker is
 * slow. Resolves after the last call.
 */
export function pace(perSecond: number, seconds: number, act: () => void): Promise<void> {
  const began = performance.now();
  const total = Math.round(perSecond * seconds);
  let done = 0;
  return new Promise((resolve, reject) => {
    const turn = () => {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond));
      try {
        while (done < due) {
          done += 1;
          act();
        }
      } catch (error) {
        reject(error);
        return;
      }
      if (done === total) resolve();
      else setTimeout(turn, SLEEP_MS);
    };
    turn();
  });
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
