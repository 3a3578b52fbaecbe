/** What can be wrong with compressed bytes. */

/** Bytes that are not what the codec writes, or that contradict themselves. */
export class CorruptCompression extends Error {
  constructor(codec: string, reason: string, options?: ErrorOptions) {
    super(`${codec}: ${reason}`, options);
    this.name = 'CorruptCompression';
  }
}

/** Bytes that would become more than is allowed; nothing of them was kept. */
export class DecompressionLimit extends Error {
  readonly maxBytes: number;

  constructor(codec: string, maxBytes: number) {
    super(`${codec}: more than ${maxBytes} bytes once decompressed`);
    this.name = 'DecompressionLimit';
    this.maxBytes = maxBytes;
  }
}
