/** `kabuki store run --auth-token-ttl`: how long a token counts. */
import { strict as assert } from 'node:assert';
import { realClock } from '../../../../actors/runtime/index.js';
import { etcdClientLimits, EtcdStore, http2Connect } from '../../../../actors/store/etcd-client/index.js';
import {
  AuthenticateRequest,
  AuthenticateResponse,
  UserAddRequest,
  UserRoleRequest,
} from '../../../../actors/store/etcd/auth-messages.js';
import { Empty, HeaderOnly } from '../../../../actors/store/etcd/rpc-messages.js';
import { waitFor } from '../../../../deploy/wait.js';
import { rpc } from '../../../harness/etcd-calls.js';
import { GrpcClient, GrpcFailure } from '../../../harness/grpc-client.js';
import { kabukiPath } from '../../../harness/process-cluster.js';
import { run } from '../../../harness/program.js';
import { startStoreAlone, type StoreAlone } from '../../../harness/store-alone.js';

const root = { name: 'root', password: 'secret' };

describe('a store whose tokens live for a second', function () {
  this.timeout(60_000);
  let store: StoreAlone;
  let client: GrpcClient;
  before(async () => {
    store = await startStoreAlone({ members: 1, args: ['--auth-token-ttl=1'] });
    client = new GrpcClient(`http://127.0.0.1:${store.ports[0]}`);
    const auth = '/etcdserverpb.Auth';
    await client.unary(`${auth}/UserAdd`, [UserAddRequest, HeaderOnly], root);
    const role = { user: root.name, role: 'root' };
    await client.unary(`${auth}/UserGrantRole`, [UserRoleRequest, HeaderOnly], role);
    await client.unary(`${auth}/AuthEnable`, [Empty, HeaderOnly], {});
  });
  after(async () => {
    client?.close();
    await store?.remove();
  });

  it('refuses one that is older, and clients that name themselves anew go on', async () => {
    const path = '/etcdserverpb.Auth/Authenticate';
    const { token } = await client.unary(path, [AuthenticateRequest, AuthenticateResponse], root);
    const read = () => client.unary(...rpc.range, { key: 'a' }, { token });
    await read();
    const others = new EtcdStore({
      endpoints: [{ address: 'ours', host: '127.0.0.1', port: store.ports[0]! }],
      connect: http2Connect({ clock: realClock, limits: etcdClientLimits }),
      clock: realClock,
      credentials: { name: root.name, password: () => root.password },
    });
    try {
      await waitFor('the token to be over', 10_000, async () => {
        await others.currentRevision();
        return read().then(
          () => false,
          (error: unknown) => error instanceof GrpcFailure && /invalid auth token/.test(error.message),
        );
      });
      await others.currentRevision();
    } finally {
      others.close();
    }
  });

  it('is started with whole seconds, one or more', async () => {
    for (const wrong of ['0', '1.5', '5m', '-1']) {
      const { code, stderr } = await run(process.execPath, [
        kabukiPath,
        'store',
        'run',
        `--auth-token-ttl=${wrong}`,
      ]);
      assert.equal(code, 2);
      assert.match(stderr, /--auth-token-ttl .*whole seconds, 1 or more/);
    }
  });
});
