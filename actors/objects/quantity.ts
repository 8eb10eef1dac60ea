/**
 * Kubernetes quantities: `500m`, `1Gi`, `1e3`. Held exactly as a whole number of nanos, printed in the
 * canonical form of the notation that they were written in (apimachinery api/resource, "Quantity").
 */
import { ObjectError } from './errors.js';

export type QuantityFormat = 'decimal' | 'binary' | 'exponent';

export interface Quantity {
  /** The value times 10^9. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

const nano = 1_000_000_000n;
const maximum = (2n ** 63n - 1n) * nano;

const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const decimalSuffixes = new Map(Object.entries(decimalExponents).map(([suffix, power]) => [power, suffix]));
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const pattern = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,4}))?$/;

/** A number is taken as its decimal text. Throws BAD_VALUE; rounds away from zero to a whole nano. */
export function parseQuantity(value: string | number): Quantity {
  const source = typeof value === 'number' ? String(value) : value;
  const match = pattern.exec(source);
  if (!match) {
    throw new ObjectError(
      'BAD_VALUE',
      'quantities must match the regular expression ' +
        `'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': ${JSON.stringify(source)}`,
    );
  }
  const [, sign, digits, suffix = '', exponent] = match;
  const [whole = '', fraction = ''] = digits!.split('.');
  let numerator = BigInt(`${whole}${fraction}` || '0') * nano;
  let denominator = 10n ** BigInt(fraction.length);
  let format: QuantityFormat = 'decimal';
  if (exponent !== undefined) {
    format = 'exponent';
    // Powers beyond these are zero or the maximum, whatever the digits (at most a body's worth of them).
    const power = Math.max(-400, Math.min(400, Number(exponent)));
    if (power < 0) denominator *= 10n ** BigInt(-power);
    else numerator *= 10n ** BigInt(power);
  } else if (suffix.endsWith('i')) {
    format = 'binary';
    numerator *= 1024n ** BigInt(binarySuffixes.indexOf(suffix));
  } else {
    const power = decimalExponents[suffix]!;
    if (power < 0) denominator *= 10n ** BigInt(-power);
    else numerator *= 10n ** BigInt(power);
  }
  let nanos = (numerator + denominator - 1n) / denominator;
  if (nanos > maximum) nanos = maximum;
  return { nanos: sign === '-' ? -nanos : nanos, format };
}

/** The canonical text: no fraction, the largest suffix that leaves none. */
export function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return '0';
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  if (format === 'binary' && size >= 1024n * nano && size % nano === 0n) {
    let value = size / nano;
    let power = 0;
    while (power < binarySuffixes.length - 1 && value % 1024n === 0n) {
      value /= 1024n;
      power++;
    }
    return `${sign}${value}${binarySuffixes[power]!}`;
  }
  let value = size;
  let power = -9;
  while (power < 18 && value % 1000n === 0n) {
    value /= 1000n;
    power += 3;
  }
  if (format === 'exponent') return `${sign}${value}${power === 0 ? '' : `e${power}`}`;
  return `${sign}${value}${decimalSuffixes.get(power)!}`;
}

/** `1000m` becomes `1`, `0.5` becomes `500m`. Throws BAD_VALUE. */
export function canonicalQuantity(value: string | number): string {
  return formatQuantity(parseQuantity(value));
}

/** Negative, zero or positive, as a sort wants it. */
export function compareQuantities(a: string | Quantity, b: string | Quantity): number {
  const left = asQuantity(a).nanos;
  const right = asQuantity(b).nanos;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Whole units, rounded up: bytes of memory, number of pods. */
export function quantityValue(quantity: string | number | Quantity): number {
  return Number(ceilDivide(asQuantity(quantity).nanos, nano));
}

/** Thousandths, rounded up: CPU. */
export function quantityMilliValue(quantity: string | number | Quantity): number {
  return Number(ceilDivide(asQuantity(quantity).nanos, 1_000_000n));
}

function asQuantity(value: string | number | Quantity): Quantity {
  return typeof value === 'object' ? value : parseQuantity(value);
}

function ceilDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value > 0n && value % by !== 0n ? quotient + 1n : quotient;
}
