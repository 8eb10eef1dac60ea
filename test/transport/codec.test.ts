import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  decodeEnvelope,
  encodeEnvelope,
  type Envelope,
  type EnvelopeId,
  type Incarnation,
  nodeId,
  type TraceParent,
  TransportError,
} from '../../transport/index.js';

const envelope: Envelope = {
  id: 'master-1/3/42' as EnvelopeId,
  cause: 'master-2/1/7' as EnvelopeId,
  trace: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' as TraceParent,
  lamport: 99,
  from: nodeId('master-1'),
  fromPath: '/scheduler',
  incarnation: 3 as Incarnation,
  to: nodeId('master-2.store'),
  toPath: '/store',
  kind: 'Put',
  deadlineMs: 1_700_000_000_000.5,
  body: { type: 'Put', key: new Uint8Array([1, 2, 3]), nested: [{ a: undefined }, null, 2n ** 53n] },
};

const failsWith = (code: string) => (error: unknown) =>
  error instanceof TransportError && error.code === code;

function changed(patch: Partial<Record<keyof Envelope, unknown>>): Uint8Array {
  return encodeEnvelope({ ...envelope, ...patch } as Envelope);
}

describe('envelope codec', () => {
  it('gives back what it was given', () => {
    assert.deepEqual(decodeEnvelope(encodeEnvelope(envelope)), envelope);
    const { cause: _, ...withoutCause } = envelope;
    assert.deepEqual(decodeEnvelope(encodeEnvelope(withoutCause)), withoutCause);
  });

  it('gives back bytes as views of the frame, not as copies', () => {
    const bytes = encodeEnvelope({ ...envelope, body: { large: new Uint8Array(100_000) } });
    const { large } = decodeEnvelope(bytes).body as { large: Uint8Array };
    assert.equal(large.constructor, Uint8Array);
    assert.equal(large.buffer, bytes.buffer);
  });

  it('does not share memory between two encoded envelopes', () => {
    const first = encodeEnvelope(envelope);
    const before = Buffer.from(first);
    for (let i = 0; i < 1000; i++) encodeEnvelope({ ...envelope, lamport: i });
    assert.deepEqual(Buffer.from(first), before);
  });

  it('refuses an envelope above the limit on both sides', () => {
    const large = { ...envelope, body: new Uint8Array(2000) };
    assert.throws(() => encodeEnvelope(large, 1000), failsWith('too-large'));
    assert.throws(() => decodeEnvelope(encodeEnvelope(large), 1000), failsWith('too-large'));
  });

  it('refuses another schema version', () => {
    const bytes = encodeEnvelope(envelope);
    bytes[0] = 9;
    assert.throws(() => decodeEnvelope(bytes), failsWith('schema-version'));
  });

  it('refuses a body that is no plain data', () => {
    assert.throws(() => encodeEnvelope({ ...envelope, body: Symbol('x') }), failsWith('unencodable'));
  });

  const badFields: [keyof Envelope, unknown][] = [
    ['id', 'no-slashes'],
    ['id', 'a'.repeat(200) + '/1/1'],
    ['cause', 17],
    ['trace', '00-xyz'],
    ['lamport', -1],
    ['lamport', 1.5],
    ['from', 'Master_1'],
    ['fromPath', 'relative'],
    ['incarnation', '3'],
    ['to', ''],
    ['toPath', `/${'x'.repeat(600)}`],
    ['kind', ''],
    ['deadlineMs', Number.NaN],
    ['deadlineMs', -5],
  ];
  for (const [field, value] of badFields) {
    it(`refuses ${field} ${JSON.stringify(value).slice(0, 30)}`, () => {
      assert.throws(() => decodeEnvelope(changed({ [field]: value })), {
        code: 'undecodable',
        message: `field ${field} of an envelope is invalid`,
      });
    });
  }

  it('answers every torn envelope with a coded error', () => {
    const bytes = encodeEnvelope(envelope);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeEnvelope(bytes.subarray(0, length)), TransportError);
    }
  });

  it('answers garbage with a coded error, whatever the garbage', () => {
    const bytes = encodeEnvelope(envelope);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(bytes.length - 1),
        fc.nat(255),
        (noise, at, value) => {
          const header = new Uint8Array([1, 0, 0, 0, noise.length]);
          for (const candidate of [noise, Buffer.concat([header, noise])]) {
            assert.throws(() => decodeEnvelope(candidate), TransportError);
          }
          const flipped = Uint8Array.from(bytes);
          flipped[at] = value;
          try {
            decodeEnvelope(flipped);
          } catch (error) {
            assert(error instanceof TransportError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('does not let a frame reach the prototype of objects', () => {
    const body = JSON.parse('{"__proto__": {"polluted": true}}') as unknown;
    const decoded = decodeEnvelope(changed({ body })).body as Record<string, unknown>;
    assert.equal(decoded['polluted'], undefined);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });
});
