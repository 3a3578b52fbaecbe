/**
 * A binary heap whose items know their place in it, so that any of them can be taken out or moved
 * without a search. The item with the lowest rank is first; an item is in one such heap at a time.
 */

export interface Ranked {
  /** What the heap is ordered by; change it only through `move`. */
  rank: number;
  /** Place in the heap, -1 while in none. Kept by the heap. */
  heapIndex: number;
}

export class IndexedHeap<T extends Ranked> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item of the lowest rank; undefined when the heap is empty. */
  get first(): T | undefined {
    return this.#items[0];
  }

  /** All items, in no order; not to be read on after a change. */
  items(): Iterable<T> {
    return this.#items;
  }

  add(item: T): void {
    this.#items.push(item);
    this.#up(item, this.#items.length - 1);
  }

  /** Takes an item out; nothing happens when it is in no heap. */
  remove(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop()!;
    if (last === item) return;
    this.#place(last, at);
  }

  /** Gives an item that is in the heap another rank. */
  move(item: T, rank: number): void {
    item.rank = rank;
    this.#place(item, item.heapIndex);
  }

  #place(item: T, at: number): void {
    if (at > 0 && item.rank < this.#items[(at - 1) >> 1]!.rank) this.#up(item, at);
    else this.#down(item, at);
  }

  #up(item: T, start: number): void {
    const items = this.#items;
    let at = start;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above]!;
      if (parent.rank <= item.rank) break;
      items[at] = parent;
      parent.heapIndex = at;
      at = above;
    }
    items[at] = item;
    item.heapIndex = at;
  }

  #down(item: T, start: number): void {
    const items = this.#items;
    const size = items.length;
    let at = start;
    for (let below = 2 * at + 1; below < size; below = 2 * at + 1) {
      if (below + 1 < size && items[below + 1]!.rank < items[below]!.rank) below++;
      const child = items[below]!;
      if (child.rank >= item.rank) break;
      items[at] = child;
      child.heapIndex = at;
      at = below;
    }
    items[at] = item;
    item.heapIndex = at;
  }
}
