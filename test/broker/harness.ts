/**
 * A server with fake handlers on a network in memory, and a client that speaks frames to it. Time
 * is the real clock's; the tests wait for conditions.
 */

import type { AnyApi, RequestContext } from '../../broker/api.ts';
import { api } from '../../broker/api.ts';
import { Config } from '../../broker/config.ts';
import { LimitedLog } from '../../broker/limited-log.ts';
import { systemClock } from '../../broker/main.ts';
import { MemoryBudget } from '../../broker/memory-budget.ts';
import { Metrics } from '../../broker/metrics.ts';
import { Server } from '../../broker/server.ts';
import type { Services } from '../../broker/services.ts';
import type { TransportConnection, TransportEvents } from '../../broker/transport.ts';
import { Framer } from '../../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { LeaveGroupRequest, LeaveGroupResponse } from '../../protocol/messages/leave-group.ts';
import type { Logger, Random } from '../../storage/env.ts';
import { PoisoningFrames } from '../sim/frames.ts';
import { SimulatedNetwork, type SimulatedNetworkOptions } from '../sim/transport.ts';

export interface LogLine {
  readonly level: Exclude<keyof Logger, 'level'>;
  readonly values: Record<string, unknown>;
  readonly text: string;
}

/** A log that keeps its lines. */
export function keptLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine['level']) => (values: object, text: string) => {
    lines.push({ level, values: values as Record<string, unknown>, text });
  };
  return {
    lines,
    log: {
      level: 'info',
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
    },
  };
}

/** Random numbers of a seed (a linear congruence; only chunk sizes depend on it). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const fraction = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const byte = () => Math.floor(fraction() * 256);
  return { fraction, bytes: (count) => Buffer.from(Array.from({ length: count }, byte)) };
}

/** Runs the loop until a condition holds; a tap test's own time limit ends what never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets everything run that can run without time passing. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

export type Handler = (context: RequestContext, name: string) => unknown;

/** Heartbeat and LeaveGroup with handlers of the test's; the group id tells what is wanted. */
export function fakeApis(handle: Handler): AnyApi[] {
  return [
    api({
      name: 'Heartbeat',
      versions: '0-4',
      request: HeartbeatRequest,
      response: HeartbeatResponse,
      handle: (context, request) => handle(context, request.groupId) as never,
      onError: (_context, _request, errorCode) => ({ errorCode }),
    }),
    api({
      name: 'LeaveGroup',
      versions: '0-3',
      request: LeaveGroupRequest,
      response: LeaveGroupResponse,
      oneAtATime: true,
      handle: (context, request) => handle(context, request.groupId) as never,
      onError: (_context, _request, errorCode) => ({ errorCode }),
    }),
  ];
}

export interface Setup {
  readonly settings?: Record<string, string>;
  readonly memoryBytes?: number;
  readonly network?: SimulatedNetworkOptions;
  readonly apis?: readonly AnyApi[];
  readonly mostConnections?: number;
}

export async function startServer(handle: Handler, setup: Setup = {}) {
  const { log, lines } = keptLog();
  const settings = Object.entries(setup.settings ?? {}).map(([name, value]) => {
    return { name, value, origin: 'test', kind: 'flag' as const };
  });
  const random = seededRandom(1);
  const metrics = new Metrics();
  const memory = new MemoryBudget(setup.memoryBytes ?? 64 * 1024 * 1024, systemClock);
  const services = {
    env: { clock: systemClock, random, log },
    config: new Config(settings),
    nodeId: 1,
    clusterId: 'a-cluster',
    metrics,
    memory,
    limitedLog: new LimitedLog(systemClock, log),
  } as unknown as Services;
  const network = new SimulatedNetwork(systemClock, random, setup.network);
  const server = new Server(
    services,
    network,
    setup.apis ?? fakeApis(handle),
    setup.mostConnections,
    new PoisoningFrames(),
  );
  const listener = { name: 'PLAINTEXT', host: '127.0.0.1', port: 0 };
  const { port } = await server.listen(listener, undefined);
  const connect = (address?: string) => new FrameClient(network.connect(port, address));
  return { server, services, network, metrics, memory, lines, port, connect };
}

/** A client that sends what it is told and keeps the frames that come. */
export class FrameClient implements TransportEvents {
  readonly frames: Buffer[] = [];
  /** Chunks as they came. */
  readonly chunks: Buffer[] = [];
  closed = false;
  readonly transport: TransportConnection;
  private readonly framer = new Framer(2 ** 30);

  constructor(transport: TransportConnection) {
    this.transport = transport;
    transport.start(this);
  }

  data(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    this.frames.push(...this.framer.push(chunk));
  }

  drained(): void {}

  gone(): void {
    this.closed = true;
  }

  send(bytes: Buffer | readonly Buffer[]): void {
    this.transport.write(Array.isArray(bytes) ? bytes : [bytes as Buffer], () => {});
  }

  heartbeat(correlationId: number, name: string, apiVersion = 0): void {
    this.send(heartbeatBytes(correlationId, name, apiVersion));
  }

  leave(correlationId: number, name: string): void {
    const header = { apiVersion: 1, correlationId, clientId: 'test' };
    this.send(encodeRequest(LeaveGroupRequest, header, { groupId: name, memberId: '' }));
  }

  /** Correlation ids of the answers, in the order they came. */
  get correlationIds(): number[] {
    return this.frames.map((frame) => frame.readInt32BE(0));
  }

  errorCodes(): number[] {
    return this.frames.map((f) => decodeResponse(f, HeartbeatResponse, 0).value.errorCode);
  }
}

export function heartbeatBytes(correlationId: number, name: string, apiVersion = 0): Buffer {
  const header = { apiVersion, correlationId, clientId: 'test' };
  const value = { groupId: name, generationId: 1, memberId: 'm' };
  return Buffer.concat(encodeRequest(HeartbeatRequest, header, value));
}

/** A promise and how to end it. */
export function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
