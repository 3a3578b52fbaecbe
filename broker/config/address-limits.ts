/**
 * `max.connections.per.ip.overrides`: how many connections single addresses may have, as
 * `127.0.0.1:200,fe80::1:50`. Kafka looks host names up here, too; we take addresses alone, so that
 * no limit waits for, or depends on, a name server.
 */

const ENTRY = /^([0-9.]+|[0-9a-fA-F:.]+):(\d{1,9})$/;

/** The limit of each address. Throws RangeError on an entry that is none. */
export function parseAddressLimits(text: string): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const entry of text.split(',')) {
    if (entry.trim() === '') continue;
    const [, address, most] = ENTRY.exec(entry.trim()) ?? [];
    if (address === undefined) throw new RangeError(`${entry.trim()} is no address:number`);
    limits.set(address.toLowerCase(), Number(most));
  }
  return limits;
}

/** What is wrong with a text; undefined when it can be read. */
export function addressLimitsFault(text: string): string | undefined {
  try {
    parseAddressLimits(text);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}
