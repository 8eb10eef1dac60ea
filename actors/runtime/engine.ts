/**
 * What turns a mailbox into a running actor: an engine owns the turns of the event loop, the cell owns the
 * messages. Two implementations (nact-engine.ts, sim-engine.ts) pass one shared suite, test/actors/runtime/system.case.ts.
 */
export interface Engine {
  /** `drain` handles a bounded batch and never throws. `name` is the actor's path. */
  open(name: string, drain: () => void): Activation;
  close(): void;
}

export interface Activation {
  /** Runs `drain` once in a later turn, in the order of the calls among all activations. Ignored after `close`. */
  schedule(): void;
  close(): void;
}
