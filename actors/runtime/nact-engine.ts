/**
 * Runs actors on nact 7.6.2. nact gives each actor its turn; everything above a turn is ours (ARCHITECTURE rule 3):
 * the drain never throws into nact, `onCrash` only ever returns `ctx.stop`, every actor has an explicit name, and
 * all stand flat under one root, because nact copies the child map for every message. nact spends one
 * setImmediate per message, so that one nact message stands for a batch of ours.
 */
import { strict as assert } from 'node:assert';
import { type ActorSystemRef, dispatch, type Ref, spawn, start, stop } from 'nact';
import type { Activation, Engine } from './engine.js';

type Turn = { readonly type: 'Turn' };
const turn: Turn = { type: 'Turn' };

/** nact keeps all systems of a process in one map by name. */
let enginesOpened = 0;

export function createNactEngine(): Engine {
  enginesOpened += 1;
  // An object with a name is what nact reads; its types know only the (ignored) string.
  const root: ActorSystemRef = start({ name: `kabuki-${enginesOpened}` } as unknown as string);
  let opened = 0;
  let closed = false;
  return {
    open(_name: string, drain: () => void): Activation {
      assert(!closed, 'the engine is closed');
      opened += 1;
      // Our paths have characters that nact's names forbid.
      const ref: Ref<Turn> = spawn(
        root,
        (state: undefined, _message: Turn) => (loudly(drain), state),
        `cell-${opened}`,
        {
          onCrash: (_message, _error, ctx) => ctx.stop,
        },
      );
      let open = true;
      return {
        schedule: () => {
          if (open) dispatch(ref, turn);
        },
        close: () => {
          if (!open) return;
          open = false;
          stop(ref);
        },
      };
    },
    close: () => {
      if (closed) return;
      closed = true;
      stop(root);
    },
  };
}

/** A throw out of a drain is a defect of this runtime: nact must not see it, the process must end of it. */
function loudly(drain: () => void): void {
  try {
    drain();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
