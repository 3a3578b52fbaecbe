/** Several at once, but not all. */

/** Does something for each item, `parallelism` at a time, in their order; the first error ends it. */
export async function inParallel<T>(
  items: readonly T[],
  parallelism: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < items.length) await run(items[next++]!);
  };
  await Promise.all(Array.from({ length: parallelism }, work));
}
