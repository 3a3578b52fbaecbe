/** The fuzzer over real sockets, twenty thousand frames; `npm run fuzz` sends more. */

import t from 'tap';
import { Compressors } from '../fuzz/batches.ts';
import { SETTINGS } from '../fuzz/broker-target.ts';
import { Findings } from '../fuzz/findings.ts';
import { serve } from '../fuzz/served-broker.ts';
import { SocketTarget } from '../fuzz/socket-target.ts';

const FRAMES = 20_000;
const SEED = Number(process.env.TAILRACE_FUZZ_SEED ?? Date.now() % 1_000_000);
/** Others work on the same processors; on a quiet machine it is a second. */
const CLEAN_LIMIT_MS = 5000;

t.test(`${FRAMES} frames over sockets (seed ${SEED})`, async (t) => {
  const findings = new Findings();
  const broker = await serve(SETTINGS);
  const { port, pid } = broker;
  const options = { port, pid, seed: SEED, cleanLimitMs: CLEAN_LIMIT_MS };
  await new SocketTarget(options, await Compressors.load(), findings).run(FRAMES);
  const { exitCode, log } = await broker.stop();
  t.same(findings.faults, []);
  t.equal(exitCode, 143);
  t.notMatch(log, /"level":50/);
  t.comment(String(findings));
});
