/**
 * Entry of a machine's process: the components on this thread, a master's store member on a thread of its own, HTTPS, and
 * a control socket. Ends on SIGTERM, and by itself when its launcher is gone.
 */
import { openHttpsDoor } from '../actors/apiserver/index.js';
import { machineFacts, ProcessRuntime, socketPodNetwork, staticPodFolder } from '../actors/kubelet/index.js';
import { UserSpaceProxy } from '../actors/proxy/index.js';
import { ControlServer } from '../transport/index.js';
import { machineNamed, mainNode } from './cluster-spec.js';
import { DataDir } from './data-dir.js';
import { startMachine } from './machine.js';
import { machineControl } from './machine-control.js';
import { createNodeSystem } from './node-system.js';
import { startStoreThread } from './store-thread.js';
import { tokenSigner } from './token-signer.js';

const [dataDir = '', name = ''] = process.argv.slice(2);
const dir = new DataDir(dataDir);
const spec = dir.readSpec();
const machine = machineNamed(spec, name);

const fail = (error: unknown) => {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  // At once, as if the power had failed: after an error that nobody handled nothing more may be written.
  process.kill(process.pid, 'SIGKILL');
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

const store =
  machine.role === 'master' ? await startStoreThread({ dataDir, machine: name }, fail) : undefined;
const system = createNodeSystem(dir, spec, machine, mainNode(machine));
await system.started;
void system.whenFailed.then(fail);
const tokens = machine.role === 'master' ? await tokenSigner(dir) : undefined;
const running = startMachine({
  spec,
  machine,
  system,
  runtime: new ProcessRuntime({
    dataDir: dir.machineDir(name),
    clock: system.env.clock,
    random: system.env.random,
  }),
  podNetwork: socketPodNetwork,
  facts: machineFacts(dir.machineDir(name)),
  staticPods: staticPodFolder(dir.manifestDir(name)),
  serviceProxy: new UserSpaceProxy({ clock: system.env.clock, random: system.env.random }),
  ...(tokens && { tokens }),
});
const door =
  running.apiServer &&
  (await openHttpsDoor({
    system,
    server: running.apiServer,
    key: dir.readText('pki/apiserver.key'),
    certificate: dir.readText('pki/apiserver.crt'),
    clientCa: dir.readText('pki/ca.crt'),
    port: machine.httpsPort ?? 0,
    servedBy: name,
  }));

const control = new ControlServer(dir.socketPath(name), machineControl(system, store));
await control.start();

let stopping = false;
const stop = async () => {
  if (stopping) return;
  stopping = true;
  await door?.close(1_000);
  running.stop();
  await system.stop();
  await system.journal.close();
  await store?.stop();
  await control.close();
  process.exit(0);
};
process.on('SIGTERM', () => void stop().catch(fail));
process.on('disconnect', () => void stop().catch(fail));
process.send?.('ready');
