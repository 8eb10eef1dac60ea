import { SimulatedRuntime } from '../../../actors/kubelet/index.js';
import { realClock, realRandom } from '../../../actors/runtime/index.js';
import { runtimeCases } from './container-runtime.case.js';

const plan = (key: string, value: number) => ({ [`simulated.kabuki.dev/${key}`]: String(value) });

runtimeCases('simulated', {
  create: async () => new SimulatedRuntime({ clock: realClock, random: realRandom, startDelayMs: 5 }),
  config: (behaviour) => {
    switch (behaviour.type) {
      case 'exits':
        return {
          argv: [],
          podAnnotations: { ...plan('exit-after-ms', 20), ...plan('exit-code', behaviour.code) },
        };
      case 'runs':
        return { argv: [], podAnnotations: {} };
      case 'ignores-sigterm':
        return { argv: [], podAnnotations: plan('stop-delay-ms', 100_000) };
    }
  },
});
