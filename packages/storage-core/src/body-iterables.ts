/**
 * Items with a step around each wait for the next one. A reader that stops early ends the source too; after a failure
 * the source is told to let go, but a source that is stuck does not hold up the error.
 */
export async function* aroundEach<Item>(
  source: AsyncIterable<Item>,
  wait: (next: () => Promise<IteratorResult<Item>>) => Promise<IteratorResult<Item>>,
): AsyncGenerator<Item> {
  const iterator = source[Symbol.asyncIterator]();
  let open = true;
  try {
    for (;;) {
      const result = await wait(() => iterator.next());
      if (result.done === true) {
        open = false;
        return;
      }
      yield result.value;
    }
  } catch (error) {
    open = false;
    void iterator.return?.().catch(() => undefined);
    throw error;
  } finally {
    if (open) await iterator.return?.();
  }
}
