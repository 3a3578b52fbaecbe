/** Thousands of sockets, as lean as they can be, for loads whose answers nobody looks into. */

import { connect, type Socket } from 'node:net';

const OPENING_AT_ONCE = 256;
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

export interface LeanOptions {
  readonly host: string;
  readonly port: number;
  /** It is connected; `index` counts from 0. */
  readonly begin: (socket: Socket, index: number) => void;
  /** Bytes came; a socket without it reads nothing at all. */
  readonly onData?: (socket: Socket, index: number) => void;
}

export class LeanSockets {
  /** Those that the other side closed. */
  closed = 0;
  readonly #sockets: Socket[] = [];
  readonly #options: LeanOptions;
  #isClosing = false;

  constructor(options: LeanOptions) {
    this.#options = options;
  }

  /** Opens until there are so many. */
  async open(count: number): Promise<void> {
    const openers = Array.from({ length: OPENING_AT_ONCE }, async () => {
      while (this.#sockets.length < count) await this.#open();
    });
    await Promise.all(openers);
  }

  close(): void {
    this.#isClosing = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): Promise<void> {
    const { host, port, begin, onData } = this.#options;
    const index = this.#sockets.length;
    const callback = () => {
      onData?.(socket, index);
      return true;
    };
    const onread = { buffer: READ_BUFFER, callback };
    const socket = connect(onData === undefined ? { host, port } : { host, port, onread });
    if (onData === undefined) socket.pause();
    this.#sockets.push(socket);
    return new Promise((resolve) => {
      socket.on('connect', () => {
        begin(socket, index);
        resolve();
      });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        if (!this.#isClosing) this.closed += 1;
        resolve();
      });
    });
  }
}
