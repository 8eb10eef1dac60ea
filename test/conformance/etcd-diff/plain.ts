/** Replies made comparable: byte fields that are equal are so whatever class they have, and long ones are told by their sums. */
import { createHash } from 'node:crypto';

const toldBytesMax = 200;

export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array && value.length > toldBytesMax) {
    return `${value.length} bytes ${createHash('sha256').update(value).digest('hex')}`;
  }
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('latin1')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
