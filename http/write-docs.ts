/** Writes docs/metrics.md below the working folder: `npm run docs`. */

import { nodeDisk } from '../storage/node-disk.ts';
import { metricsPage } from './documentation.ts';

const PATH = 'docs/metrics.md';

const disk = nodeDisk();
await disk.remove(PATH);
const file = await disk.open(PATH, 'create');
try {
  await file.write([Buffer.from(metricsPage())], 0);
} finally {
  await file.close();
}
