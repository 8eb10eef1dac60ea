/** Waiting for a state, level-triggered and bounded: never for a moment. */
export async function waitFor(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean>,
  intervalMs = 50,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      // Not yet possible is the same as not yet so; the last reason is told when time is up.
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `waited ${timeoutMs} ms for ${what}${last instanceof Error ? `: ${last.message}` : ''}`,
        {
          cause: last,
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
