import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { pods } from '../../../actors/client/index.js';
import { waitFor } from '../../../deploy/wait.js';
import { type StreamingWorld, streamingWorld } from './streaming-world.js';

const counting = 'for i in 1 2 3 4 5 6; do echo "line $i"; sleep 0.3; done';
const allLines = [1, 2, 3, 4, 5, 6].map((number) => `line ${number}\n`).join('');

describe('kubectl logs', function () {
  this.timeout(60_000);
  let world: StreamingWorld;

  before(async () => {
    world = await streamingWorld();
    await world.pod('counting', ['sh', '-c', counting], { restartPolicy: 'Never' });
  });
  after(() => world?.cluster.stop());

  it('follows to the end of the container, for several at once', async () => {
    const followers = await Promise.all([1, 2, 3].map(() => world.kubectl.run('logs', '-f', 'counting')));
    assert.deepEqual(followers, [allLines, allLines, allLines]);
  });

  it('cuts by lines, bytes and age, and tells the time of each line', async () => {
    await ended('counting');
    const { kubectl } = world;
    assert.equal(await kubectl.run('logs', 'counting', '--tail=2'), 'line 5\nline 6\n');
    assert.equal(await kubectl.run('logs', 'counting', '--limit-bytes=10'), 'line 1\nlin');
    assert.equal(await kubectl.run('logs', 'counting', '--since=1h'), allLines);
    assert.match(await kubectl.run('logs', 'counting', '--timestamps', '--tail=1'), /^20\d\d-\S+Z line 6\n$/);
    const { stderr } = await world.run(['logs', 'counting', '--limit-bytes=-1']);
    assert.match(stderr, /limit-bytes must be greater than 0|limitBytes/);
  });

  it('shows the life before', async () => {
    await world.pod('crashing', ['sh', '-c', 'echo "pid $$$$"; sleep 1; exit 1']);
    await waitFor('the container to have been restarted', 20_000, async () => {
      const { status } = await world.cluster.client.get(pods, 'default', 'crashing');
      const [container] = status?.containerStatuses ?? [];
      return container?.restartCount === 1 && container.state?.running !== undefined;
    });
    const now = await world.kubectl.run('logs', 'crashing');
    const before = await world.kubectl.run('logs', 'crashing', '--previous');
    assert.match(before, /^pid \d+\n$/);
    assert.notEqual(before, now);
    const { stderr } = await world.run(['logs', 'counting', '--previous']);
    assert.match(stderr, /previous terminated container "main" in pod "counting" not found/);
  });

  it('refuses pods, containers and options that do not exist', async () => {
    assert.match((await world.run(['logs', 'nobody'])).stderr, /pods "nobody" not found/);
    assert.match((await world.run(['logs', 'counting', '-c', 'x'])).stderr, /container x is not valid/);
    const { status, text } = await world.call('/api/v1/namespaces/default/pods/counting/log?sinceSeconds=x');
    assert.equal(status, 422);
    assert.match(text, /sinceSeconds/);
  });

  for (const protocol of [undefined, 'binary.k8s.io', 'base64.binary.k8s.io']) {
    it(`pours into a WebSocket that speaks ${protocol ?? 'nothing special'}`, async () => {
      await ended('counting');
      const socket = await open('counting/log', protocol);
      assert.equal(socket.protocol, protocol ?? '');
      const parts: Buffer[] = [];
      socket.on('message', (data: Buffer, isBinary) => {
        assert.equal(isBinary, protocol !== 'base64.binary.k8s.io');
        parts.push(isBinary ? data : Buffer.from(data.toString(), 'base64'));
      });
      await new Promise((resolve) => socket.once('close', resolve));
      assert.equal(Buffer.concat(parts).toString(), allLines);
    });
  }

  it('lets go of a follower that goes away', async () => {
    await world.pod('endless', ['sh', '-c', 'while true; do echo tick; sleep 0.1; done']);
    // More than a kubelet serves at once.
    for (let round = 0; round < 7; round += 1) {
      const followers = await Promise.all(
        Array.from({ length: 10 }, () => open('endless/log?follow=true', 'binary.k8s.io')),
      );
      await Promise.all(
        followers.map(async (socket) => {
          await new Promise((resolve) => socket.once('message', resolve));
          socket.terminate();
        }),
      );
    }
    assert.match(await world.kubectl.run('logs', 'endless', '--tail=1'), /tick/);
  });

  async function ended(name: string): Promise<void> {
    await waitFor(`${name} to have ended`, 20_000, async () => {
      const { status } = await world.cluster.client.get(pods, 'default', name);
      return status?.phase === 'Succeeded';
    });
  }

  function open(path: string, protocol: string | undefined): Promise<WebSocket> {
    const url = `${world.cluster.url.replace('https', 'wss')}/api/v1/namespaces/default/pods/${path}`;
    const socket = new WebSocket(url, protocol === undefined ? [] : [protocol], {
      ...world.tls,
      agent: false,
    });
    return new Promise((resolve, reject) => {
      // Messages may come with the handshake: nobody may miss them.
      socket.once('open', () => resolve(socket));
      socket.on('error', reject);
    });
  }
});
