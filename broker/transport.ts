/**
 * The network as the broker sees it: something that listens, and connections that are streams of
 * bytes. `tcpTransport` is the real one, on node:net; test/sim/transport.ts is one in memory. This
 * is the only file of the broker that knows sockets.
 */

import net from 'node:net';
import { SOCKET_READ_BYTES } from './memory-budget.ts';

/** What a connection tells its owner. After `gone` nothing more is told. */
export interface TransportEvents {
  /** Bytes came; their memory is used again once this returns. */
  data(chunk: Buffer): void;
  /** The peer takes bytes again after `write` gave false. */
  drained(): void;
  /** The connection is gone, by either side; called exactly once. */
  gone(error: Error | undefined): void;
}

export interface TransportConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Address and port of ours that the peer connected to. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Starts the flow of events; called once, right after the connection was accepted. */
  start(events: TransportEvents): void;
  /**
   * Sends the buffers one after the other, in one system call where that is possible. They must
   * not change until `sent` was called: when the system has taken them, or never will. False:
   * enough is waiting for the peer to take it, `drained` follows.
   */
  write(buffers: readonly Buffer[], sent: () => void): boolean;
  /** Stops and starts reading. Nothing is told about the peer's end while paused. */
  pause(): void;
  resume(): void;
  /** Closes in an orderly way after all that was written has been sent. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** Connections that may wait to be accepted. */
  readonly backlog: number;
}

export interface TransportListener {
  readonly host: string;
  readonly port: number;
  /** Accepts nothing more from now on; resolves when the connections it accepted are gone too. */
  close(): Promise<void>;
}

export interface Transport {
  /** Rejects when the address cannot be had (EADDRINUSE, EACCES, ENOTFOUND). */
  listen(
    options: ListenOptions,
    accept: (connection: TransportConnection) => void,
    failed: (error: Error) => void,
  ): Promise<TransportListener>;
}

/** Bytes of answers that may wait in a socket before its owner is told to stop. */
const WRITE_HIGH_WATER_BYTES = 1024 * 1024;
/** Silence after which the kernel probes whether the peer is still there. */
const KEEP_ALIVE_MS = 60_000;

/** Where a socket's connection hangs: listeners that need no closure for each socket. */
const CONNECTION = Symbol('connection');
type OwnedSocket = net.Socket & { [CONNECTION]: TcpConnection };

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[CONNECTION].events?.data(chunk);
}

function onDrain(this: OwnedSocket): void {
  this[CONNECTION].events?.drained();
}

/** A peer that has closed its half takes no answers: Kafka's clients never half-close. */
function onEnd(this: OwnedSocket): void {
  this.destroy();
}

function onError(this: OwnedSocket, error: Error): void {
  this[CONNECTION].failure = error;
}

function onClose(this: OwnedSocket): void {
  this[CONNECTION].closed();
}

type Internals = net.Socket & { _handle: object | null; server: unknown; _server: unknown };

/**
 * The connection of a socket that was accepted and not read from yet, as one that reads into the
 * given buffer. Node offers that to clients only (`onread`); here its constructor is given the
 * accepted handle. Where a Node has no such insides, the socket stays as it is, and each read gets
 * memory of its own.
 */
function readInto(accepted: net.Socket, buffer: Buffer): net.Socket {
  const outer = accepted as Internals;
  const { _handle: handle, _server: server } = outer;
  if (handle === null || server === undefined || !('useUserBuffer' in handle)) return accepted;
  outer._handle = null;
  outer._server = null;
  const options = {
    handle,
    manualStart: true,
    writableHighWaterMark: WRITE_HIGH_WATER_BYTES,
    onread: {
      buffer,
      callback(this: OwnedSocket, sizeBytes: number, filled: Uint8Array) {
        this[CONNECTION].events?.data(Buffer.from(filled.buffer, filled.byteOffset, sizeBytes));
        return true;
      },
    },
  };
  const inner = new net.Socket(options as net.SocketConstructorOpts) as Internals;
  // The server counts its connections by them.
  inner.server = server;
  inner._server = server;
  return inner;
}

class TcpConnection implements TransportConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  events: TransportEvents | undefined;
  failure: Error | undefined;
  private readonly socket: OwnedSocket;
  /** It reads into the buffer of all. */
  private readonly isSharing: boolean;

  constructor(accepted: net.Socket, buffer: Buffer) {
    const reading = readInto(accepted, buffer);
    this.isSharing = reading !== accepted;
    const socket = Object.assign(reading, { [CONNECTION]: this });
    this.socket = socket;
    this.remoteAddress = withoutMapping(socket.remoteAddress ?? '');
    this.remotePort = socket.remotePort ?? 0;
    // Errors may come before `start`; 'close' follows each and tells the owner.
    socket.on('error', onError);
  }

  get localAddress(): string {
    return withoutMapping(this.socket.localAddress ?? '');
  }

  get localPort(): number {
    return this.socket.localPort ?? 0;
  }

  start(events: TransportEvents): void {
    const socket = this.socket;
    this.events = events;
    socket.on('drain', onDrain);
    socket.on('end', onEnd);
    socket.on('close', onClose);
    if (this.isSharing) socket.resume();
    else socket.on('data', onData);
    if (socket.closed) this.closed();
  }

  closed(): void {
    const events = this.events;
    this.events = undefined;
    events?.gone(this.failure);
  }

  write(buffers: readonly Buffer[], sent: () => void): boolean {
    const socket = this.socket;
    const last = buffers.length - 1;
    if (last < 0 || socket.destroyed) {
      sent();
      return true;
    }
    if (last === 0) return socket.write(buffers[0] as Buffer, sent);
    let taken = true;
    socket.cork();
    for (let i = 0; i < last; i++) socket.write(buffers[i] as Buffer);
    taken = socket.write(buffers[last] as Buffer, sent);
    socket.uncork();
    return taken;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.destroySoon();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** An IPv4 address as such, also where the socket is an IPv6 one. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

/** TCP, through node:net. */
export const tcpTransport: Transport = {
  async listen(options, accept, failed) {
    const server = net.createServer({
      noDelay: true,
      pauseOnConnect: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      highWaterMark: WRITE_HIGH_WATER_BYTES,
    });
    // All sockets are read into one buffer, one after the other: memory made for each read costs more
    // than the reading.
    const buffer = Buffer.allocUnsafeSlow(SOCKET_READ_BYTES);
    server.on('connection', (socket) => accept(new TcpConnection(socket, buffer)));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: options.host, port: options.port, backlog: options.backlog }, () => {
        server.removeListener('error', reject);
        server.on('error', failed);
        resolve();
      });
    });
    const address = server.address() as net.AddressInfo;
    return {
      host: address.address,
      port: address.port,
      close: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
  },
};

/** Answers a question of another program on this machine, line by line; `send` waits for the reader. */
export type LocalAnswer = (
  question: string,
  send: (line: string) => Promise<void>,
) => Promise<void>;

const QUESTION_MAX_BYTES = 64 * 1024;
const LOCAL_CONNECTIONS = 8;
/** Silence after which a local connection is closed. */
const LOCAL_IDLE_MS = 30_000;

/**
 * Listens on a socket in the file system, which only the owner may connect to: one line asks, lines
 * answer. Does not keep the process alive. `failed` is told what went wrong with a question.
 */
export async function listenLocally(
  path: string,
  answer: LocalAnswer,
  failed: (error: Error) => void,
): Promise<{ close(): Promise<void> }> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.setTimeout(LOCAL_IDLE_MS, () => socket.destroy());
    socket.on('error', failed);
    socket.on('close', () => open.delete(socket));
    answerOne(socket, answer).catch(failed);
  });
  server.maxConnections = LOCAL_CONNECTIONS;
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      server.on('error', failed);
      resolve();
    });
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

async function answerOne(socket: net.Socket, answer: LocalAnswer): Promise<void> {
  socket.setEncoding('utf8');
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes('\n') || text.length > QUESTION_MAX_BYTES) break;
  }
  const end = text.indexOf('\n');
  if (end < 0) {
    socket.destroy();
    return;
  }
  try {
    await answer(text.slice(0, end), (line) => sendLine(socket, line));
    socket.end();
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function sendLine(socket: net.Socket, line: string): Promise<void> {
  if (socket.destroyed) throw new Error('whoever asked has gone');
  if (socket.write(`${line}\n`)) return;
  await new Promise<void>((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });
}
