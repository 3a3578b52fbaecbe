/** All that the operators' commands do, loaded as one: few files to read at a start, of whatever. */

export { compactLogs } from './compact.ts';
export { dumpLogs } from './dump.ts';
export { dumpJournal, listJournal, showJournal, verifyJournal } from './journal.ts';
export { listSegments } from './list.ts';
export { showLogs } from './show.ts';
export { describeTopics, listTopics } from './topics.ts';
export { verifyLogs } from './verify.ts';
