/**
 * A bounded run of the fuzzer over all decoders, a whole broker in memory and one behind sockets.
 * TAILRACE_FUZZ_SEED chooses other frames; `npm run fuzz` runs as many as are wanted.
 */

import t from 'tap';
import { Compressors } from './batches.ts';
import { BrokerTarget, SETTINGS } from './broker-target.ts';
import { DecoderTarget } from './decoder-target.ts';
import { Findings } from './findings.ts';
import { serve } from './served-broker.ts';
import { SocketTarget } from './socket-target.ts';

const SEED = Number(process.env.TAILRACE_FUZZ_SEED ?? 7);
const DECODED = 15_000;
const WORLDS = 2;
const FRAMES_A_WORLD = 1000;
const SENT = 3000;
/** Far above what is promised, for tests share their processors with others. */
const HANG_MS = 10_000;
const MOST_RESIDENT_BYTES = 384 * 1024 ** 2;

const compressors = await Compressors.load();

t.test('whatever the bytes, a decoder gives a value or the error that is expected', async (t) => {
  const findings = new Findings();
  await new DecoderTarget(SEED, compressors, findings).run(DECODED);
  t.same(findings.faults, []);
  t.equal(findings.frames, DECODED);
});

t.test(
  'whatever the frames, the broker answers or closes, and serves others as ever',
  async (t) => {
    const findings = new Findings();
    for (let world = 0; world < WORLDS; world++) {
      const options = { turnLimitMs: HANG_MS };
      await new BrokerTarget(SEED + world, compressors, findings, options).run(FRAMES_A_WORLD);
    }
    t.same(findings.faults, []);
    t.equal(findings.frames, WORLDS * FRAMES_A_WORLD);
    t.ok(findings.answers > FRAMES_A_WORLD / 4, `${findings.answers} answers were read`);
    t.ok(findings.closed > FRAMES_A_WORLD / 20, `${findings.closed} connections were closed`);
  },
);

t.test(`a broker that is sent ${SENT} frames over sockets goes on`, async (t) => {
  const findings = new Findings();
  const served = await serve(SETTINGS);
  const { port, pid } = served;
  const options = { port, pid, seed: SEED, cleanLimitMs: HANG_MS };
  try {
    await new SocketTarget(options, compressors, findings).run(SENT);
  } finally {
    const { exitCode, log } = await served.stop();
    t.equal(exitCode, 143, 'it ends when it is told to');
    t.notMatch(log, /"level":50/, 'and has logged no error');
  }
  t.same(findings.faults, []);
  t.ok(findings.cleanAsks > 3, `a sound client was served ${findings.cleanAsks} times`);
  const { peakResidentBytes } = findings;
  t.ok(peakResidentBytes < MOST_RESIDENT_BYTES, `${peakResidentBytes} bytes resident`);
});
