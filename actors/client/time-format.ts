/** Time as Kubernetes prints it (apimachinery `meta/v1` Time and MicroTime), always UTC. */

/** RFC 3339 in whole seconds: `2026-01-02T03:04:05Z`. */
export function wholeSecondTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with six decimals: `2026-01-02T03:04:05.678000Z`. */
export function microTime(epochMs: number): string {
  const micros = Math.round((epochMs - Math.floor(epochMs)) * 1000) % 1000;
  const text = new Date(Math.floor(epochMs)).toISOString();
  return `${text.slice(0, 23)}${String(micros).padStart(3, '0')}Z`;
}
