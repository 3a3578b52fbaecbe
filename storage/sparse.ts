/**
 * Maps and sets that take memory with their first entry. Each log has a dozen of them, empty most of
 * the time, and an empty Map of JavaScript's takes two hundred bytes.
 */

const NO_ENTRIES: ReadonlyMap<never, never> = new Map<never, never>();
const NO_MEMBERS: ReadonlySet<never> = new Set<never>();

export class SparseMap<K, V> {
  #map: Map<K, V> | undefined;

  get size(): number {
    return this.#map?.size ?? 0;
  }

  get(key: K): V | undefined {
    return this.#map?.get(key);
  }

  has(key: K): boolean {
    return this.#map?.has(key) ?? false;
  }

  set(key: K, value: V): void {
    this.#map ??= new Map();
    this.#map.set(key, value);
  }

  delete(key: K): boolean {
    return this.#map?.delete(key) ?? false;
  }

  clear(): void {
    this.#map = undefined;
  }

  keys(): MapIterator<K> {
    return (this.#map ?? NO_ENTRIES).keys();
  }

  values(): MapIterator<V> {
    return (this.#map ?? NO_ENTRIES).values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return (this.#map ?? NO_ENTRIES)[Symbol.iterator]();
  }
}

export class SparseSet<T> {
  #set: Set<T> | undefined;

  get size(): number {
    return this.#set?.size ?? 0;
  }

  has(member: T): boolean {
    return this.#set?.has(member) ?? false;
  }

  add(member: T): void {
    this.#set ??= new Set();
    this.#set.add(member);
  }

  delete(member: T): boolean {
    return this.#set?.delete(member) ?? false;
  }

  clear(): void {
    this.#set = undefined;
  }

  [Symbol.iterator](): SetIterator<T> {
    return (this.#set ?? NO_MEMBERS)[Symbol.iterator]();
  }
}
