/**
 * What handlers work with, made once by the composition (broker.ts). Each is an interface here and
 * a class in a file of its own, so that no room imports another's inside.
 */

import type { BatchHeader } from '../protocol/record-batch.ts';
import type { Env } from '../storage/env.ts';
import type {
  AppendResult,
  LogOptions,
  LogSlice,
  LogStore,
  PartitionLogView,
} from '../storage/types.ts';
import type { Authorizer } from './authorizer.ts';
import type { Codecs } from './codec-pool.ts';
import type { Config } from './config.ts';
import type { ConfigChanges } from './config-changes.ts';
import type { Deadlines } from './deadlines.ts';
import type { FetchSessions } from './fetch-sessions.ts';
import type { GroupCoordinator } from './groups/coordinator.ts';
import type { LimitedLog } from './limited-log.ts';
import type { Locations } from './locations.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Metrics } from './metrics.ts';
import type { Partition } from './partition.ts';
import type { ProducerIds } from './producer-ids.ts';
import type { Acls } from './security/acls.ts';
import type { ClientQuotas } from './security/client-quotas.ts';
import type { ScramUsers } from './security/scram-users.ts';
import type { ClientTelemetry } from './telemetry/client-telemetry.ts';
import type { TopicConfig, Topics } from './topics.ts';
import type { TransactionCoordinator } from './transactions/coordinator.ts';
import type { Watchers } from './watchers.ts';

export interface Services {
  readonly env: Env;
  readonly config: Config;
  readonly configChanges: ConfigChanges;
  readonly nodeId: number;
  readonly clusterId: string;
  /** By it a client knows that it runs on this host, and may read the files itself. */
  readonly hostId: string;
  readonly logs: LogStore;
  /** The log that topics and configurations are kept in, as far as others may look into it. */
  readonly metadataLog: Pick<PartitionLogView, 'leaderEpoch' | 'highWatermark' | 'endOffset'>;
  readonly topics: Topics;
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
  readonly producerIds: ProducerIds;
  readonly clientQuotas: ClientQuotas;
  readonly scramUsers: ScramUsers;
  readonly acls: Acls;
  readonly clientTelemetry: ClientTelemetry;
  readonly fetchSessions: FetchSessions;
  readonly watchers: Watchers;
  /** One timer for all timeouts. */
  readonly deadlines: Deadlines;
  /** Decompresses, checks and compresses batches in threads of their own. */
  readonly codecs: Codecs;
  readonly metrics: Metrics;
  /** For lines that clients can bring about. */
  readonly limitedLog: LimitedLog;
  readonly memory: MemoryBudget;
  readonly authorizer: Authorizer;
  /** Where persisted records are to be fetched from. */
  readonly locations: Locations;
}

export type {
  AppendResult,
  BatchHeader,
  LogOptions,
  LogSlice,
  Partition,
  PartitionLogView,
  TopicConfig,
};
