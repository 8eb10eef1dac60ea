import { strict as assert } from 'node:assert';
import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jwtVerify, SignJWT } from 'jose';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  UserAddRequest,
  UserRoleRequest,
} from '../../actors/store/etcd/auth-messages.js';
import { RangeRequest, RangeResponse } from '../../actors/store/etcd/kv-messages.js';
import { Empty, HeaderOnly } from '../../actors/store/etcd/rpc-messages.js';
import { parseAuthToken, readTokenKeys } from '../../deploy/auth-token.js';
import { GrpcClient } from '../harness/grpc-client.js';
import { startStoreAlone, type StoreAlone } from '../harness/store-alone.js';

describe('--auth-token', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'kabuki-auth-token-'));
  let store: StoreAlone | undefined;
  let client: GrpcClient | undefined;
  afterEach(async () => {
    client?.close();
    await store?.stop();
  });
  after(async () => {
    await store?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const publicFile = file('public.pem', publicPem);
  const privateFile = file(
    'private.pem',
    pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
  const signed = (key: KeyObject, alg: string, revision = 1_000) =>
    new SignJWT({ username: 'root', revision }).setProtectedHeader({ alg }).setExpirationTime('1m').sign(key);
  const outcome = (call: Promise<unknown>) =>
    call.then(
      () => 'done',
      (error: Error & { code: number }) => `${error.code} ${error.message}`,
    );

  it('signs with the keys of the operator, and takes what they have signed elsewhere', async () => {
    const args = [`--auth-token=jwt,sign-method=ES256,pub-key=${publicFile},priv-key=${privateFile},ttl=1m`];
    store = await startStoreAlone({ members: 1, args });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    const auth = '/etcdserverpb.Auth';
    const root = { name: 'root', password: 'secret' };
    await client.unary(`${auth}/UserAdd`, [UserAddRequest, HeaderOnly] as const, root);
    const role = { user: 'root', role: 'root' };
    await client.unary(`${auth}/UserGrantRole`, [UserRoleRequest, HeaderOnly] as const, role);
    await client.unary(`${auth}/AuthEnable`, [Empty, HeaderOnly] as const, {});
    const login = [AuthenticateRequest, AuthenticateResponse] as const;
    const { token } = await client.unary(`${auth}/Authenticate`, login, root);
    const { payload, protectedHeader } = await jwtVerify(token, pair.publicKey);
    assert.deepEqual([protectedHeader.alg, payload['username']], ['ES256', 'root']);
    assert.ok(Math.abs((payload.exp as number) - Date.now() / 1000 - 60) < 10);
    const { revision } = payload as { revision: number };
    const read = (by: string) =>
      outcome(
        client!.unary(
          '/etcdserverpb.KV/Range',
          [RangeRequest, RangeResponse] as const,
          { key: 'a' },
          { token: by },
        ),
      );
    const invalid = '16 etcdserver: invalid auth token';
    assert.equal(await read(token), 'done');
    assert.equal(await read(await signed(pair.privateKey, 'ES256', revision)), 'done');
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.equal(await read(await signed(other.privateKey, 'ES256', revision)), invalid);
    // The public key as if it were a secret: what the token says of itself decides nothing.
    assert.equal(
      await read(await signed(createSecretKey(Buffer.from(publicPem)), 'HS256', revision)),
      invalid,
    );
  });

  it('with the public key alone takes tokens, and signs none', async () => {
    const args = [`--auth-token=jwt,sign-method=ES256,pub-key=${publicFile}`];
    store = await startStoreAlone({ members: 1, args, dataDir: store!.dataDir, ports: store!.ports });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    const login = [AuthenticateRequest, AuthenticateResponse] as const;
    assert.equal(
      await outcome(
        client.unary('/etcdserverpb.Auth/Authenticate', login, { name: 'root', password: 'secret' }),
      ),
      '2 auth: token signing attempted with verify-only key',
    );
    const token = await signed(pair.privateKey, 'ES256', 3);
    const range = [RangeRequest, RangeResponse] as const;
    assert.equal(
      await outcome(client.unary('/etcdserverpb.KV/Range', range, { key: 'a' }, { token })),
      'done',
    );
  });

  it('says what is wrong with it', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsaFile = file('rsa.pem', rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString());
    for (const [text, why] of [
      ['simple', /tokens are "jwt".*not "simple"/],
      ['jwt,sign-method=ES256', /sign-method belongs to a key/],
      [`jwt,pub-key=${publicFile}`, /a key to sign-method/],
      [`jwt,pub-key=${publicFile},sign-method=none`, /there is no sign-method none/],
      ['jwt,what=1', /"what=1" is none of/],
      ['jwt,ttl=1m,ttl=2m', /each once/],
      ['jwt,ttl=0s', /ttl is a duration/],
      [`jwt,pub-key=${rsaFile},sign-method=ES256`, /it is of the kind rsa, and ES256 takes ec/],
      [`jwt,pub-key=${publicFile}x,sign-method=ES256`, /cannot be used: ENOENT/],
      [`jwt,priv-key=${publicFile},sign-method=ES256`, /cannot be used/],
      [`jwt,pub-key=${publicFile},sign-method=HS256`, /HS256 has one key, and it is priv-key/],
    ] as const) {
      assert.throws(() => readTokenKeys(parseAuthToken(text)), why, text);
    }
    assert.deepEqual(parseAuthToken('jwt'), {});
    assert.deepEqual(parseAuthToken('jwt,ttl=2h'), { ttlMs: 7_200_000 });
    assert.equal(readTokenKeys({}), undefined);
    const keys = readTokenKeys({ signMethod: 'ES256', privateKeyFile: privateFile });
    assert.deepEqual(keys?.verify.export({ format: 'jwk' }), pair.publicKey.export({ format: 'jwk' }));
  });
});
