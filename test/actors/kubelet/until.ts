/** Waits for a condition, level-triggered and bounded. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  boundMs = 8000,
): Promise<void> {
  const end = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${boundMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
