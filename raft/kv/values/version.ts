/** A version of a key as the state holds it: a `KeyValue` but for the bytes of the value, which lie in a slab. */
import type { KeyValue } from '../types.js';
import type { Slab } from './slab.js';

export interface Version extends Omit<KeyValue, 'value'> {
  readonly valueBytes: number;
  /** Of the key and the value (digest.ts), signed: wherever the bytes lie, they must match it. 0 for a tombstone. */
  readonly sum: number;
  /** Where the value lies. Both move on when the slab has become sparse. */
  slab: Slab;
  offset: number;
}
