import { strict as assert } from 'node:assert';
import {
  type Connect,
  type Connection,
  ConnectionError,
  HungUpAfterHandshake,
} from '../../../../actors/store/etcd-client/connection.js';
import { joinStore, NotJoined } from '../../../../actors/store/etcd-client/index.js';
import { JoinResponse } from '../../../../actors/store/etcd/cluster-messages.js';
import { code, GrpcError } from '../../../../actors/store/etcd/status.js';
import { ManualClock } from '../../client/manual-env.js';

const request = { peerUrl: 'tcp://127.0.0.1:1', title: 'm4', publicKey: 'k', clientUrls: [] };
const timeoutMs = 15_000;
const broken = (why: string, code?: string) =>
  new ConnectionError(why, false, code === undefined ? undefined : { cause: { code } });

describe('a member that says at the API of etcd that it runs', () => {
  let clock: ManualClock;
  /** What each endpoint says: an error of its connection or of the call; none: it takes the member in. */
  let says: Map<string, Error | 'nothing' | undefined>;
  let asked: string[];
  let waiting: [string, number][];
  beforeEach(() => {
    clock = new ManualClock();
    says = new Map();
    asked = [];
    waiting = [];
  });

  const connect: Connect = async ({ address }) => {
    asked.push(address);
    const error = says.get(address);
    if (error === 'nothing') return new Promise(() => {});
    if (error instanceof ConnectionError) throw error;
    const unary = async () => {
      if (error) throw error;
      return JoinResponse.encode({ clusterId: 'c', name: `by-${address}`, members: [] });
    };
    return { unary, close: () => {} } as unknown as Connection;
  };

  const join = async (passMs: number): Promise<unknown> => {
    let outcome: unknown;
    const endpoints = [...says.keys()].map((address) => ({ address, host: address, port: 1 }));
    const onWaiting = (answers: string, leftMs: number) => waiting.push([answers, leftMs]);
    void joinStore({ connect, endpoints, clock, timeoutMs, request, onWaiting }).then(
      ({ name }) => (outcome = name),
      (error: unknown) => (outcome = error),
    );
    await clock.advance(passMs);
    return outcome;
  };

  it('is told at once what no waiting can change', async () => {
    for (const error of [
      broken('TLS: certificate required', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
      broken('TLS: bad certificate', 'EPROTO'),
      broken('unable to verify the first certificate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
      broken("Hostname/IP does not match certificate's altnames", 'ERR_TLS_CERT_ALTNAME_INVALID'),
      broken('Protocol error', 'ERR_HTTP2_ERROR'),
      new HungUpAfterHandshake({ cause: { code: 'ECONNRESET' } }),
      new GrpcError(code.unimplemented, 'unknown service kabuki.Store'),
      new GrpcError(code.unknown, 'HTTP status 404: no gRPC server'),
    ]) {
      says.set('a', error);
      const outcome = await join(0);
      assert(outcome instanceof NotJoined && outcome.isFinal, String(outcome));
      assert(outcome.message.includes(error.message), outcome.message);
    }
    assert.equal(asked.length, 8);
    assert.equal(clock.timerCount, 0);
  });

  it('is told at once what the store itself refuses, whoever else could be asked', async () => {
    for (const grpcCode of [code.permissionDenied, code.unauthenticated, code.failedPrecondition]) {
      const refusal = new GrpcError(grpcCode, 'no');
      says = new Map<string, Error | undefined>([
        ['a', refusal],
        ['b', undefined],
      ]);
      assert.equal(await join(0), refusal);
    }
  });

  it('asks on while a start or a heal can help, until time is up', async () => {
    for (const error of [
      broken('connect ECONNREFUSED', 'ECONNREFUSED'),
      broken('read ECONNRESET', 'ECONNRESET'),
      broken('getaddrinfo EAI_AGAIN', 'EAI_AGAIN'),
      broken('no connection within 2000 ms'),
      new GrpcError(code.unavailable, 'etcdserver: no leader'),
      new GrpcError(code.deadlineExceeded, 'no answer within 5000 ms'),
    ]) {
      says.set('a', error);
      asked = [];
      const outcome = await join(timeoutMs);
      assert(outcome instanceof NotJoined && !outcome.isFinal, String(outcome));
      assert.equal(outcome.message, `a (${error.message})`);
      assert.equal(asked.length, 30);
    }
    says.set('a', broken('connect ECONNREFUSED', 'ECONNREFUSED'));
    clock.setTimer(3_000, () => says.set('a', undefined));
    assert.equal(await join(3_000), 'by-a');
  });

  it('leaves out who is none of the store, and asks the others', async () => {
    says.set('stranger', broken('Protocol error', 'ERR_HTTP2_ERROR'));
    says.set('down', broken('connect ECONNREFUSED', 'ECONNREFUSED'));
    says.set('member', undefined);
    assert.equal(await join(1_000), 'by-member');
    says.set('member', broken('TLS: unknown ca', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'));
    asked = [];
    const outcome = await join(timeoutMs);
    const message = 'stranger (Protocol error), down (connect ECONNREFUSED), member (TLS: unknown ca)';
    assert(outcome instanceof NotJoined && !outcome.isFinal && outcome.message === message, String(outcome));
    assert.deepEqual(asked.slice(0, 3).toSorted(), ['down', 'member', 'stranger']);
    assert(asked.slice(3).every((address) => address === 'down'));
  });

  it('says once, after a second, what the answers were and for how long it asks on', async () => {
    says.set('a', broken('connect ECONNREFUSED', 'ECONNREFUSED'));
    says.set('b', 'nothing');
    await join(5_000);
    assert.deepEqual(waiting, [['a (connect ECONNREFUSED), b (no answer yet)', 14_000]]);
  });

  it('says nothing of it when it is quick', async () => {
    says.set('a', undefined);
    await join(5_000);
    assert.deepEqual(waiting, []);
  });
});
