/**
 * Sends ranges of files: large reads into two buffers in turn, each handed to the socket as it is
 * and filled again once its bytes have left. So a stream holds two buffers whatever its length, a
 * slow reader is read for no faster than he takes, and the next read runs beside the last write.
 */

import type { ServerResponse } from 'node:http';
import type { Services } from '../broker/services.ts';
import { BufferPool } from '../storage/buffer-pool.ts';
import type { LocatedFile } from '../storage/types.ts';
import { endWhenStalled } from './stall.ts';

const CHUNK_BYTES = 512 * 1024;
/** However short memory is. */
const LEAST_CHUNK_BYTES = 64 * 1024;
const POOL_KEEP_BYTES = 8 * 1024 * 1024;
const BUFFERS = 2;

/** Resolves when the bytes have left, or never will. */
function write(raw: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (raw.destroyed) {
      resolve();
      return;
    }
    const done = () => {
      raw.off('close', done);
      resolve();
    };
    raw.once('close', done);
    raw.write(bytes, done);
  });
}

type SenderServices = Pick<Services, 'config' | 'memory' | 'metrics' | 'env'>;

export class SegmentSender {
  readonly #services: SenderServices;
  readonly #pool = new BufferPool(POOL_KEEP_BYTES);

  constructor(services: SenderServices) {
    this.#services = services;
  }

  /** Sends so many bytes of a file from a position on, ends the answer and gives the file back. */
  async send(
    file: LocatedFile,
    position: number,
    sizeBytes: number,
    raw: ServerResponse,
  ): Promise<void> {
    const { memory, env, config } = this.#services;
    const wanted = Math.min(CHUNK_BYTES, Math.max(1, sizeBytes));
    const chunkBytes = memory.allowance(wanted, Math.min(wanted, LEAST_CHUNK_BYTES));
    const held = chunkBytes * BUFFERS;
    memory.take('answers', held);
    endWhenStalled(raw, config);
    try {
      await this.#stream(file, position, sizeBytes, chunkBytes, raw);
      raw.end();
    } catch (error) {
      env.log.error({ err: error }, 'a segment could not be read to its end');
      // The length was said: only the connection's end says that it does not come.
      raw.destroy();
    } finally {
      memory.give('answers', held);
      file.release();
    }
  }

  async #stream(
    file: LocatedFile,
    position: number,
    sizeBytes: number,
    chunkBytes: number,
    raw: ServerResponse,
  ): Promise<void> {
    const buffers: Buffer[] = [];
    const writes: Promise<void>[] = [];
    const sent = this.#services.metrics.counter('segment_bytes_total');
    for (let done = 0, turn = 0; done < sizeBytes && !raw.destroyed; turn = (turn + 1) % BUFFERS) {
      await writes[turn];
      if (raw.destroyed) break;
      const buffer = buffers[turn] ?? this.#pool.acquire(chunkBytes);
      buffers[turn] = buffer;
      const count = Math.min(chunkBytes, sizeBytes - done);
      const read = await file.read(buffer, 0, count, position + done);
      if (read < count) throw new Error(`the file ends at ${position + done + read}`);
      writes[turn] = write(raw, buffer.subarray(0, count));
      done += count;
      sent.add(count);
    }
    await Promise.all(writes);
    // What the kernel was to take from a connection that broke off is left to the collector.
    if (!raw.destroyed) for (const buffer of buffers) this.#pool.release(buffer);
  }
}
