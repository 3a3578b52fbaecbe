/** A client's address as Kafka shows it in its groups: Java's text of an address without a name. */

const MAPPED_V4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

export function clientHostOf(address: string): string {
  return `/${MAPPED_V4.exec(address)?.[1] ?? address}`;
}
