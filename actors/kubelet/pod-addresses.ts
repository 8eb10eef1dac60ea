/** The addresses of a node's pods, out of its range of loopback addresses; pure. */
import { strict as assert } from 'node:assert';

export class PodAddresses {
  readonly #first: number;
  readonly #count: number;
  readonly #taken = new Map<string, string>();
  #next = 0;

  /** `127.64.3.0/24`; the first and the last address are not given out. */
  constructor(cidr: string) {
    const [address = '', length = ''] = cidr.split('/');
    const bits = Number(length);
    assert(Number.isInteger(bits) && bits >= 8 && bits <= 30, `pod range ${cidr} must have 8 to 30 bits`);
    const size = 2 ** (32 - bits);
    const base = toNumber(address);
    assert(base % size === 0, `pod range ${cidr} has bits set behind its prefix`);
    this.#first = base + 1;
    this.#count = size - 2;
  }

  /** The pod keeps an address that it had before, if that is free and in the range. */
  take(uid: string, wanted?: string): string | undefined {
    const had = this.#ofPod(uid);
    if (had !== undefined) return had;
    if (wanted !== undefined && this.#contains(wanted) && !this.#taken.has(wanted)) {
      this.#taken.set(wanted, uid);
      return wanted;
    }
    // Goes round, so that an address is not used again at once.
    for (let step = 0; step < this.#count; step += 1) {
      const at = (this.#next + step) % this.#count;
      const address = toText(this.#first + at);
      if (this.#taken.has(address)) continue;
      this.#next = at + 1;
      this.#taken.set(address, uid);
      return address;
    }
    return undefined;
  }

  release(uid: string): void {
    const address = this.#ofPod(uid);
    if (address !== undefined) this.#taken.delete(address);
  }

  #ofPod(uid: string): string | undefined {
    for (const [address, owner] of this.#taken) if (owner === uid) return address;
    return undefined;
  }

  #contains(address: string): boolean {
    const value = toNumber(address);
    return value >= this.#first && value < this.#first + this.#count;
  }
}

function toNumber(address: string): number {
  const parts = address.split('.').map(Number);
  assert(
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256),
    `${address} is not an IPv4 address`,
  );
  return parts.reduce((value, part) => value * 256 + part, 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
