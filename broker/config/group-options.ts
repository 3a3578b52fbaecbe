/**
 * Configurations of a group. All of Kafka's are about the group protocols of KIP-848, KIP-932 and
 * KIP-1071, which are not served: they are checked, kept and shown, and change nothing.
 * Source: KIP-1043; Kafka's GroupConfig, with the bounds that its broker's defaults come to.
 */

import { bool, choice, int, list, text } from './option.ts';

const CONSUMER = 'consumer group (KIP-848)';
const SHARE = 'share group (KIP-932)';
const STREAMS = 'streams group (KIP-1071)';
const DEAD_LETTERS = 'A share group’s records that could not be processed:';

const session = (kind: string) =>
  int(45_000, { min: 45_000, max: 60_000, doc: `Session timeout of members of a ${kind}.` });
const heartbeat = (kind: string) =>
  int(5000, { min: 5000, max: 15_000, doc: `How often members of a ${kind} send heartbeats.` });
const assignment = (kind: string) =>
  int(1000, { min: 0, max: 15_000, doc: `Least time between two assignments of a ${kind}.` });

const RESET =
  /^(?:earliest|latest|by_duration:P(?=.)(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)$/;

export const groupOptions = {
  'consumer.assignment.interval.ms': assignment(CONSUMER),
  'consumer.heartbeat.interval.ms': heartbeat(CONSUMER),
  'consumer.session.timeout.ms': session(CONSUMER),
  'errors.deadletterqueue.copy.record.enable': bool(false, {
    doc: `${DEAD_LETTERS} whether they are copied whole.`,
  }),
  'errors.deadletterqueue.topic.name': text('', { doc: `${DEAD_LETTERS} the topic they go to.` }),
  'share.assignment.interval.ms': assignment(SHARE),
  'share.auto.offset.reset': text('latest', {
    doc: `Where a ${SHARE} begins: earliest, latest or by_duration:<ISO 8601 duration>.`,
    fault: (value) =>
      RESET.test(value) ? undefined : 'it takes earliest, latest or by_duration:<PnDTnHnMn.nS>',
  }),
  'share.delivery.count.limit': int(5, {
    min: 2,
    max: 10,
    doc: `How often a record is given to members of a ${SHARE} at most.`,
  }),
  'share.heartbeat.interval.ms': heartbeat(SHARE),
  'share.isolation.level': choice(['read_committed', 'read_uncommitted'], 'read_uncommitted', {
    doc: `Whether a ${SHARE} sees records of transactions that are not committed.`,
  }),
  'share.partition.max.record.locks': int(2000, {
    min: 100,
    max: 4000,
    doc: `Records of a partition that a ${SHARE} may hold at a time.`,
  }),
  'share.record.lock.duration.ms': int(30_000, {
    min: 15_000,
    max: 60_000,
    doc: `How long a member of a ${SHARE} holds a record.`,
  }),
  'share.renew.acknowledge.enable': bool(true, {
    doc: `Whether a member of a ${SHARE} may hold a record for longer.`,
  }),
  'share.session.timeout.ms': session(SHARE),
  'streams.assignment.interval.ms': assignment(STREAMS),
  'streams.assignor.name': text('sticky', { doc: `The assignor of a ${STREAMS}.` }),
  'streams.heartbeat.interval.ms': heartbeat(STREAMS),
  'streams.initial.rebalance.delay.ms': int(3000, {
    min: 0,
    doc: `How long the first assignment of a ${STREAMS} waits for further members.`,
  }),
  'streams.num.standby.replicas': int(0, {
    min: 0,
    max: 2,
    doc: `Standby copies of the state of a ${STREAMS}.`,
  }),
  'streams.rack.aware.assignment.tags': list([], {
    doc: `Tags by which standby copies of a ${STREAMS} are kept apart.`,
  }),
  'streams.session.timeout.ms': session(STREAMS),
} as const;
