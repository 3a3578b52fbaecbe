/**
 * Bytes through a socket of loopback, one end of which is in a worker thread: from memory, into a
 * file, out of a file. The main thread is measured, and does nothing else.
 */

import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { processStats } from './process-stats.ts';

export interface PipeFigures {
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGigabyte: number;
}

const BLOCK = Buffer.alloc(1024 * 1024, 5);
/** The file is written over again from its start. */
const FILE_BYTES = 512 * 1024 * 1024;

interface Peer {
  readonly role: 'pours' | 'drains';
  readonly port: number;
}

/** The end that is not measured. */
function startPeer(peer: Peer): Worker {
  return new Worker(new URL(import.meta.url), { workerData: peer });
}

function runPeer({ role, port }: Peer): void {
  const onread = { buffer: Buffer.allocUnsafeSlow(BLOCK.length), callback: () => true };
  const socket = connect({ host: '127.0.0.1', port, onread });
  socket.on('error', () => process.exit(0));
  if (role === 'pours') pour(socket);
}

/** Writes whenever the socket takes bytes. */
function pour(socket: Socket, count: (bytes: number) => void = () => {}): void {
  const more = () => {
    while (!socket.destroyed) {
      const isTaken = socket.write(BLOCK, () => count(BLOCK.length));
      if (!isTaken) break;
    }
    socket.once('drain', more);
  };
  more();
}

function mainThreadSeconds(): number {
  return processStats(process.pid, process.pid)?.cpuSeconds ?? Number.NaN;
}

async function measured(
  role: Peer['role'],
  seconds: number,
  begin: (socket: Socket, count: (bytes: number) => void) => void,
): Promise<PipeFigures> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const worker = startPeer({ role, port: (server.address() as AddressInfo).port });
  const socket = await accepted;
  socket.on('error', () => {});
  let bytes = 0;
  begin(socket, (more) => {
    bytes += more;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = { bytes, cpu: mainThreadSeconds(), at: performance.now() };
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const elapsed = (performance.now() - before.at) / 1000;
  const moved = bytes - before.bytes;
  const cpu = mainThreadSeconds() - before.cpu;
  socket.destroy();
  server.close();
  await worker.terminate();
  return { bytesPerSecond: moved / elapsed, cpuSecondsPerGigabyte: cpu / (moved / 1e9) };
}

/** What one thread sends another. */
export function loopback(seconds: number): Promise<PipeFigures> {
  return measured('drains', seconds, (socket, count) => pour(socket, count));
}

/** What a process takes from a socket and writes to a file, as it comes, without syncing. */
export async function socketToFile(file: string, seconds: number): Promise<PipeFigures> {
  const descriptor = openSync(file, 'w');
  let position = 0;
  try {
    return await measured('pours', seconds, (socket, count) => {
      socket.on('data', (chunk: Buffer) => {
        writeSync(descriptor, chunk, 0, chunk.length, position);
        position = (position + chunk.length) % FILE_BYTES;
        count(chunk.length);
      });
    });
  } finally {
    closeSync(descriptor);
  }
}

/** What a process reads from a file that is in the page cache and sends. */
export async function fileToSocket(
  file: string,
  readBytes: number,
  seconds: number,
): Promise<PipeFigures> {
  const { size } = statSync(file);
  if (size < readBytes) throw new Error(`${file} has only ${size} bytes`);
  const descriptor = openSync(file, 'r');
  // A buffer may change only when the socket has sent it.
  const buffers = Array.from({ length: 4 }, () => Buffer.allocUnsafeSlow(readBytes));
  let position = 0;
  try {
    return await measured('drains', seconds, (socket, count) => {
      const send = (buffer: Buffer) => {
        if (position + readBytes > size) position = 0;
        readSync(descriptor, buffer, 0, readBytes, position);
        position += readBytes;
        socket.write(buffer, (error) => {
          if (error || socket.destroyed) return;
          count(readBytes);
          send(buffer);
        });
      };
      for (const buffer of buffers) send(buffer);
    });
  } finally {
    closeSync(descriptor);
  }
}

if (!isMainThread) runPeer(workerData as Peer);
