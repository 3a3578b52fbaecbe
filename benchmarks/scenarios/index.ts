/** All that is measured, in this order. */

import type { Scenario } from '../scenario.ts';
import { catchUp } from './catch-up.ts';
import { compaction } from './compaction.ts';
import { creation } from './creation.ts';
import { deletion } from './deletion.ts';
import { endToEnd } from './end-to-end.ts';
import { hotReads } from './hot-reads.ts';
import { overload } from './overload.ts';
import { parked } from './parked.ts';
import { produceLatency } from './produce-latency.ts';
import { produceThroughput } from './produce-throughput.ts';
import { serial } from './serial.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...produceThroughput,
  ...produceLatency,
  ...endToEnd,
  ...serial,
  ...catchUp,
  ...hotReads,
  ...parked,
  ...overload,
  ...creation,
  ...deletion,
  ...compaction,
];
