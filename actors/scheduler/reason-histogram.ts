/**
 * How many nodes gave which reason: `2 Insufficient cpu, 3 node(s) had ...`, ordered as text, as upstream
 * does.
 */
export function histogram(reasons: ReadonlyMap<string, number>): string {
  return [...reasons]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
