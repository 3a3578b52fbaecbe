/**
 * `npm run fuzz -- --frames N --seed S --target decoders|broker|socket`: sends what no client sends.
 * Ends with exit code 1 when anything went wrong that must not, and says how to see it again.
 */

import { parseArgs } from 'node:util';
import { Compressors } from './batches.ts';
import { BrokerTarget, SETTINGS } from './broker-target.ts';
import { DecoderTarget } from './decoder-target.ts';
import { Findings } from './findings.ts';
import { serve } from './served-broker.ts';
import { SocketTarget } from './socket-target.ts';

const TARGETS = ['decoders', 'broker', 'socket'] as const;
/** Frames from one seed; the next so many come from the next seed. */
const FRAMES_A_SEED = { decoders: 100_000, broker: 2_000, socket: 20_000 };
const SHOW_EVERY_MS = 60_000;
const CLEAN_LIMIT_MS = 1000;

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'broker' },
  },
});
const frames = Number(values.frames);
const firstSeed = Number(values.seed);
const target = TARGETS.find((name) => name === values.target);
if (target === undefined || !(frames > 0) || !Number.isInteger(firstSeed)) {
  process.stderr.write(`--frames N --seed S --target ${TARGETS.join('|')}\n`);
  process.exit(2);
}

const findings = new Findings();
const compressors = await Compressors.load();

/** One seed's frames. */
async function round(seed: number, count: number): Promise<void> {
  if (target === 'decoders') await new DecoderTarget(seed, compressors, findings).run(count);
  else if (target === 'broker') await new BrokerTarget(seed, compressors, findings).run(count);
  else {
    const served = await serve(SETTINGS);
    const options = { port: served.port, pid: served.pid, seed, cleanLimitMs: CLEAN_LIMIT_MS };
    await new SocketTarget(options, compressors, findings).run(count);
    const { exitCode, log } = await served.stop();
    if (exitCode === 143 && !/"level":50/.test(log)) return;
    const detail = `it ended with ${exitCode}: ${log.slice(-2000)}`;
    findings.add({ kind: 'the process', detail, seed, bytes: undefined });
  }
}

let shownAt = performance.now();
for (let seed = firstSeed; findings.frames < frames; seed++) {
  await round(seed, Math.min(FRAMES_A_SEED[target], frames - findings.frames));
  if (performance.now() - shownAt < SHOW_EVERY_MS) continue;
  shownAt = performance.now();
  process.stdout.write(`${findings}\n`);
}
process.stdout.write(`${findings}\n${findings.faults.join('\n')}\n`);
process.exitCode = findings.faults.length > 0 ? 1 : 0;
