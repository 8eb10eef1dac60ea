/** Runs actors on a clock's own queue; with the simulated clock that is the seeded, virtual-time event queue. */
import type { Clock } from '../../transport/index.js';
import type { Activation, Engine } from './engine.js';

export function createSimEngine(clock: Clock): Engine {
  let closed = false;
  return {
    open(_name: string, drain: () => void): Activation {
      let open = true;
      const run = () => {
        if (open && !closed) drain();
      };
      return {
        schedule: () => {
          if (open && !closed) clock.defer(run);
        },
        close: () => {
          open = false;
        },
      };
    },
    close: () => {
      closed = true;
    },
  };
}
