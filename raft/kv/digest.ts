/**
 * A sum over the state that every command keeps up to date: members that applied the same entries have the same one, and one
 * whose state differs is noticed at once, without a walk over the keys (etcd-io/etcd #14039, #13839). Each live key counts by
 * a hash of its newest version; a version that is replaced is hashed again to be taken out, so that bytes which changed in
 * memory show. Compaction changes nothing, and a snapshot can be checked against it.
 */
import { crc32c } from '../disk/index.js';
import type { Key, KeyValue } from './types.js';

const numbers = new Float64Array(1);
const integers = new BigInt64Array(numbers.buffer);
const halves = new Uint32Array(numbers.buffer);

/** Sums of these, in any order, are sums of 32 bits: `(a + b) >>> 0`. */
export function digestOf(kv: KeyValue): number {
  return sumOf(kv, kv.value);
}

/** Also the checksum of a value that lies apart from its key: a value in the wrong place does not match. */
export function sumOf(of: Omit<KeyValue, 'value'>, value: Uint8Array): number {
  let hash = mixText(of.version, of.key);
  hash = mix(mix(hash, of.createRevision), of.modRevision);
  hash = typeof of.lease === 'number' ? mix(hash, of.lease) : mixInteger(hash, of.lease);
  return finish(crc32c(value, hash >>> 0));
}

/** Of a few numbers and texts, in this order. */
export function digestOfAll(parts: readonly (number | bigint | string)[]): number {
  let hash = 0;
  for (const part of parts) {
    if (typeof part === 'number') hash = mix(hash, part);
    else hash = typeof part === 'string' ? mixText(hash, part) : mixInteger(hash, part);
  }
  return finish(hash);
}

function mix(hash: number, value: number): number {
  numbers[0] = value;
  return mixWord(mixWord(hash, halves[0]!), halves[1]!);
}

/** Of 64 bits. */
function mixInteger(hash: number, value: bigint): number {
  integers[0] = value;
  return mixWord(mixWord(hash, halves[0]!), halves[1]!);
}

function mixText(hash: number, text: Key): number {
  let mixed = mixWord(hash, text.length);
  for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x0100_0193);
  return mixed;
}

/** MurmurHash3's step and end (Appleby, public domain). */
function mixWord(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e_2d51);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b87_3593);
  mixed ^= hash;
  mixed = (mixed << 13) | (mixed >>> 19);
  return (Math.imul(mixed, 5) + 0xe654_6b64) | 0;
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
