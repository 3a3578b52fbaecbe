/** The checkers, and what each holds a simulated broker to. docs/guarantees.md says why. */

export const CHECKERS = {
  acknowledged: 'what was acknowledged is there, once, at the offset that was told',
  order: 'the records of a producer are in the log in the order in which it sent them',
  phantom: 'nothing is read but what was sent, byte for byte, and nothing that was refused',
  offset: 'an offset names one record, for all readers, for ever',
  poll: 'what a consumer is given follows what it was given before, without a gap',
  ghost: 'what a reader was given stays, as far as its visibility says',
  commit: 'a group is told the offset that was committed last',
  transaction:
    'of a transaction all is read, in all partitions, or nothing, and not before its end',
  zombie: 'a transactional producer that was followed by another one can do nothing more',
  hanging: 'a transaction that nobody ends holds readers back for its time-out at most',
  'exactly once': 'what is consumed, transformed and produced is in the output once',
  compaction: 'a compacted topic ends with the newest value of each key, and never goes back',
  start: 'what was deleted stays away, and nothing else goes',
  group: 'a partition has one owner in a generation, and every record is processed',
  topic: 'a topic is there from the answer to its creation to its deletion',
  memory: 'memory stays within its budget',
  watcher: 'a fetch is answered when its bytes or its time have come, and not before',
  released: 'at the end nothing is held: memory, timers, watchers, connections, files',
  answer: 'every request is answered',
  error: 'clients are told no error that there is no reason for',
  complaint: 'the broker logs no error that no fault explains',
  rot: 'what is damaged on the disk is refused, and never taken for records',
} as const;

export type CheckerName = keyof typeof CHECKERS;
