/** A program that runs one container and says its pid, to be killed by a test. */
import { ProcessRuntime } from '../../../actors/kubelet/index.js';
import { realClock, realRandom } from '../../../actors/runtime/index.js';
import { configOf } from './container-runtime.case.js';
import { until } from './until.js';

const runtime = new ProcessRuntime({ dataDir: process.argv[2]!, clock: realClock, random: realRandom });
await runtime.start();
const id = await runtime.create(
  await configOf(runtime, { argv: ['/bin/sh', '-c', 'echo $$; exec sleep 1000'] }),
);
await runtime.startContainer(id);
let text = '';
await until('the container says its pid', async () => {
  text = '';
  for await (const chunk of runtime.logs(id, {})) text += Buffer.from(chunk).toString();
  return text.endsWith('\n');
});
process.send!(Number(text));
