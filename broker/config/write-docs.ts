/** Writes docs/configuration.md below the working folder: `npm run docs`. */

import { nodeDisk } from '../../storage/node-disk.ts';
import { configurationPage } from './documentation.ts';

const PATH = 'docs/configuration.md';

const disk = nodeDisk();
await disk.remove(PATH);
const file = await disk.open(PATH, 'create');
try {
  await file.write([Buffer.from(configurationPage())], 0);
} finally {
  await file.close();
}
