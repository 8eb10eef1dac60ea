/**
 * The hash in a replica set's name: stable for one template, written in the alphabet that cannot form words (kubernetes:
 * rand.SafeEncodeString over an FNV-1a hash). Kubernetes hashes its own Go structs; only stability matters to clients.
 */
import type { PodTemplateSpec } from '../objects/types/core.js';

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function templateHash(template: PodTemplateSpec | undefined, collisionCount = 0): string {
  const text = `${JSON.stringify(sorted(template ?? {}))}${collisionCount > 0 ? `#${collisionCount}` : ''}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
