import { strict as assert } from 'node:assert';
import * as zmq from 'zeromq';
import { nodeId } from '../../transport/index.js';
import { RouterSocket } from '../../transport/zmq/router.js';

const peers = 8;
const rounds = 60;

async function routerAt(bind: string): Promise<RouterSocket> {
  return RouterSocket.bind(zmq, zmq.context, {
    node: nodeId('a'),
    bind,
    messageBytesMax: 1000,
    curve: undefined,
    incoming() {},
    refused(detail) {
      assert.fail(JSON.stringify(detail));
    },
  });
}

/** Connected, and heard by the other side. */
async function peerOf(router: RouterSocket): Promise<zmq.Dealer> {
  const dealer = new zmq.Dealer({ linger: 0, immediate: true, sendTimeout: 0 });
  const connected = new Promise((resolve) => dealer.events.on('handshake', resolve));
  dealer.connect(router.endpoint);
  await connected;
  await dealer.send('here');
  return dealer;
}

describe('the ROUTER of a link', () => {
  // Regression: it was unbound in another thread while this one read. The port was often taken for a moment more, and about
  // once in a thousand times the process ended: "Assertion failed", in pipe.cpp mostly.
  it('closes while its peers leave, and its port is free at once: time and again', async () => {
    let bind = 'tcp://127.0.0.1:0';
    for (let round = 0; round < rounds; round++) {
      const router = await routerAt(bind);
      bind = router.endpoint;
      const dealers = await Promise.all(Array.from({ length: peers }, () => peerOf(router)));
      for (const dealer of dealers) {
        void dealer.send('gone').catch(() => {});
        dealer.close();
      }
      await router.close();
    }
  });

  it('closes once, however often it is told to', async () => {
    const router = await routerAt('tcp://127.0.0.1:0');
    await Promise.all([router.close(), router.close()]);
    await router.close();
  });
});
