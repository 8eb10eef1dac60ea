/** Seeded chance: sfc32 (Chris Doty-Humphrey's PractRand), keyed by hashing a seed and a name. Not for secrets. */
import type { Random } from '../../transport/index.js';

/** The same seed and name give the same sequence on every machine; different names give unrelated ones. */
export function seededRandom(seed: number | string, name: string): Random {
  const hash = hasher(`${seed}/${name}`);
  let [a, b, c, d] = [hash(), hash(), hash(), 1];
  const next32 = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next32();
  const next = () => (next32() * 0x20_0000 + (next32() >>> 11)) / 2 ** 53;
  return {
    next,
    integer: (below) => Math.floor(next() * below),
    hex: (length) => {
      let text = '';
      while (text.length < length * 2) text += next32().toString(16).padStart(8, '0');
      return text.slice(0, length * 2);
    },
  };
}

/** RFC 4122 version 4 from 16 random bytes. */
export function uuidFrom(random: Random): string {
  const hex = random.hex(16);
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

/** MurmurHash3-like mixing of a string into as many 32-bit words as are asked for. */
function hasher(text: string): () => number {
  let h = 0x811c_9dc5 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0xcc9e_2d51);
    h = (h << 13) | (h >>> 19);
  }
  return () => {
    h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
    h = (h + 0x9e37_79b9) | 0;
    return (h ^= h >>> 16) >>> 0;
  };
}
