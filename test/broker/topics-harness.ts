/**
 * Topics and their metadata on logs in memory, with snapshots in a folder of the test's own, and
 * handlers called with a context: what they give is encoded and read back as a client reads it.
 */

import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import type { Test } from 'tap';
import type { AnyApi, Api, RequestContext } from '../../broker/api.ts';
import { Config, settingsOfProgram } from '../../broker/config.ts';
import { ConfigChanges } from '../../broker/config-changes.ts';
import { LimitedLog } from '../../broker/limited-log.ts';
import { MetadataLog } from '../../broker/metadata-log.ts';
import { Acls } from '../../broker/security/acls.ts';
import { ClientQuotas } from '../../broker/security/client-quotas.ts';
import { ScramUsers } from '../../broker/security/scram-users.ts';
import type { Services } from '../../broker/services.ts';
import { Topics } from '../../broker/topics.ts';
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../protocol/header.ts';
import { Reader } from '../../protocol/reader.ts';
import { type Decoded, type Input, type Message, parseRange } from '../../protocol/schema.ts';
import type { Env } from '../../storage/env.ts';
import { nodeDisk } from '../../storage/node-disk.ts';
import { FakeLog, FakeLogStore } from './fake-logs.ts';
import { keptLog, type LogLine } from './harness.ts';

export const NODE_ID = 3;

/** Ids that never repeat and are the same in each run. */
function countedRandom() {
  let count = 0;
  const bytes = (wanted: number) =>
    createHash('sha256').update(String(count++)).digest().subarray(0, wanted);
  return { bytes, fraction: () => 0.5 };
}

export interface World {
  readonly env: Env;
  readonly lines: LogLine[];
  readonly folder: string;
  readonly store: FakeLogStore;
  readonly metadataLog: FakeLog;
}

/** What outlives the broker: logs and folder. */
export async function makeWorld(t: Test): Promise<World> {
  const folder = await fse.mkdtemp(join(tmpdir(), 'tailrace-topics-'));
  t.teardown(() => fse.remove(folder));
  const { log, lines } = keptLog();
  let now = 1_700_000_000_000;
  const env: Env = {
    clock: {
      now: () => now++,
      monotonic: () => now,
      setTimer: () => ({ cancel: () => undefined }),
      defer: (run) => queueMicrotask(run),
    },
    disk: nodeDisk(),
    random: countedRandom(),
    host: { bootId: 'boot', hostName: 'host', processId: 1 },
    log,
  };
  const options = new Config().storeOptions().metadata;
  const metadataLog = new FakeLog('__cluster_metadata', 'AAAAAAAAAAAAAAAAAAAAAQ', 0, options);
  return { env, lines, folder, store: new FakeLogStore(), metadataLog };
}

/** A started broker, as far as topics and configurations go. */
export class TestTopics {
  readonly world: World;
  readonly config: Config;
  readonly metadata: MetadataLog;
  readonly changes: ConfigChanges;
  readonly topics: Topics;
  readonly services: Services;

  private constructor(world: World, config: Config, metadata: MetadataLog) {
    const { env, store: logs } = world;
    this.world = world;
    this.config = config;
    this.metadata = metadata;
    const nodeId = NODE_ID;
    this.changes = new ConfigChanges({ config, metadata, nodeId, log: env.log });
    this.topics = new Topics({ env, config, nodeId, logs, metadata });
    this.services = {
      env,
      config,
      nodeId,
      logs,
      clusterId: 'test-cluster',
      topics: this.topics,
      configChanges: this.changes,
      clientQuotas: new ClientQuotas(metadata),
      scramUsers: new ScramUsers(metadata),
      acls: new Acls(metadata, env.random),
      limitedLog: new LimitedLog(env.clock, env.log),
    } as Partial<Services> as Services;
  }

  static async start(
    world: World,
    settings: Readonly<Record<string, string>> = {},
    bytesBetweenSnapshots = Number.MAX_SAFE_INTEGER,
  ): Promise<TestTopics> {
    const config = new Config(settingsOfProgram(settings));
    const metadata = await MetadataLog.open(world.env, world.metadataLog, world.store, {
      folder: world.folder,
      nodeId: NODE_ID,
      bytesBetweenSnapshots,
    });
    return new TestTopics(world, config, metadata);
  }

  /** Calls a handler, by way of the bytes that a client would send and get. */
  async call<Request extends Message, Response extends Message>(
    api: Api<Request, Response>,
    apiVersion: number,
    request: Input<Request>,
  ): Promise<Decoded<Response>> {
    const header = { apiVersion, correlationId: 1, clientId: 'test' };
    const sent = Buffer.concat(encodeRequest(api.request, header, request));
    const body = new Reader(sent, 4 + 2 + 2 + 4 + 2 + 'test'.length);
    const decoded = decodeRequest(body, api.request, apiVersion);
    const context = this.context(api, apiVersion);
    const answer = (await api.handle(context, decoded)) as Input<Response>;
    const frame = Buffer.concat(encodeResponse(api.response, apiVersion, 1, answer));
    return decodeResponse(frame.subarray(4), api.response, apiVersion).value;
  }

  context(api: AnyApi, apiVersion: number): RequestContext {
    const connection = {
      id: 1,
      remoteAddress: '127.0.0.1',
      remotePort: 50_000,
      advertised: { host: 'broker.test', port: 9092 },
      clientSoftwareName: '',
      clientSoftwareVersion: '',
      closed: false,
      onClose: () => () => undefined,
    };
    return {
      services: this.services,
      connection,
      apiKey: api.key,
      apiVersion,
      correlationId: 1,
      clientId: 'test',
      onSent: () => undefined,
    };
  }
}

export async function startTopics(
  t: Test,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestTopics> {
  return TestTopics.start(await makeWorld(t), settings);
}

/** A topic that is asked for with the defaults. */
export function newTopic(name: string, rest: object = {}) {
  return { name, numPartitions: -1, replicationFactor: -1, assignments: [], configs: [], ...rest };
}

export function versionsOf(api: AnyApi): number[] {
  const { first, last } = parseRange(api.versions);
  return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
}

/** The promise is rejected with Kafka's error of a name. */
export async function rejectsWith(
  t: Test,
  promise: Promise<unknown>,
  errorName: string,
  what?: string,
): Promise<void> {
  const outcome = await promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );
  t.match(outcome, { errorName }, what ?? errorName);
}
