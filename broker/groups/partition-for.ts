/**
 * Which partition of an internal topic keeps the state of an id: Java's `String.hashCode`, made
 * positive as Kafka's Utils.abs does it, modulo the number of partitions.
 */

/** Java's `String.hashCode`: over UTF-16 units, in 32 bits. */
export function javaHashCode(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}

export function partitionFor(id: string, partitions: number): number {
  const hash = javaHashCode(id);
  // The lowest int has no positive counterpart; Kafka takes 0 for it.
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitions;
}
