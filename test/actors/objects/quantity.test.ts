import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  canonicalMicroTime,
  canonicalQuantity,
  canonicalTime,
  compareQuantities,
  formatMicroTime,
  formatQuantity,
  formatTime,
  parseQuantity,
  parseTime,
  quantityMilliValue,
  quantityValue,
} from '../../../actors/objects/index.js';

describe('quantities', () => {
  for (const [written, canonical] of [
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1', '1'],
    ['1000', '1k'],
    ['1e3', '1e3'],
    ['1000e0', '1e3'],
    ['1.5Gi', '1536Mi'],
    ['1024', '1024'],
    ['1024Ki', '1Mi'],
    ['0.5Ki', '512'],
    ['1000Ki', '1000Ki'],
    ['0', '0'],
    ['0Gi', '0'],
    ['-0.001', '-1m'],
    ['0.0000000001', '1n'],
    ['100n', '100n'],
    ['.5', '500m'],
    ['5.', '5'],
    ['+3', '3'],
    ['1E', '1E'],
    ['1E3', '1e3'],
    ['9223372036854775808', '9223372036854775807'],
    ['12345678901234567890Ki', '9223372036854775807'],
  ] as const) {
    it(`${written} is printed as ${canonical}`, () => assert.equal(canonicalQuantity(written), canonical));
  }

  it('refuse what is no quantity', () => {
    for (const bad of ['', 'abc', '1 Gi', '1KI', '1.2.3', '1e', '--1', '1mi', 'Gi', '0x10']) {
      assert.throws(() => parseQuantity(bad), { code: 'BAD_VALUE' }, bad);
    }
  });

  it('compare across notations', () => {
    assert(compareQuantities('1Gi', '1G') > 0);
    assert.equal(compareQuantities('1', '1000m'), 0);
  });

  it('round up when whole units or thousandths are asked', () => {
    assert.equal(quantityValue('1500m'), 2);
    assert.equal(quantityValue('1Ki'), 1024);
    assert.equal(quantityMilliValue('0.0001'), 1);
    assert.equal(quantityMilliValue(2), 2000);
  });

  it('keep their value through the canonical form', () => {
    const suffix = fc.constantFrom('', 'm', 'u', 'n', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'e-2');
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), suffix, (digits, unit) => {
        const quantity = parseQuantity(`${digits}${unit}`);
        const printed = formatQuantity(quantity);
        assert.equal(parseQuantity(printed).nanos, quantity.nanos);
        assert.equal(canonicalQuantity(printed), printed);
      }),
      { numRuns: 300 },
    );
  });
});

describe('times', () => {
  it('print as RFC 3339 in UTC', () => {
    assert.equal(formatTime(1_700_000_000_999), '2023-11-14T22:13:20Z');
    assert.equal(formatMicroTime(1_700_000_000_123.456), '2023-11-14T22:13:20.123456Z');
    assert.equal(canonicalTime('2023-11-15T00:13:20.9+02:00'), '2023-11-14T22:13:20Z');
    assert.equal(canonicalMicroTime('2023-11-14T22:13:20Z'), '2023-11-14T22:13:20.000000Z');
    assert.equal(parseTime('2023-11-14T22:13:20.5Z'), 1_700_000_000_500);
  });

  it('refuse what is no time', () => {
    for (const bad of ['', 'now', '2023-11-14', '2023-13-14T22:13:20Z', '2023-11-14 22:13:20Z']) {
      assert.throws(() => parseTime(bad), { code: 'BAD_VALUE' }, bad);
    }
  });
});
