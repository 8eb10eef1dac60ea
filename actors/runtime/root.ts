/**
 * The top of the tree. Each declared supervisor stands for itself; each actor spawned at the top has an implicit
 * one-for-one supervisor of its own, so that one that keeps crashing does not use up another one's restarts.
 */
import type { ChildSpec, StopReason, SupervisorSpec, TreeNode } from './actor.js';
import type { Host } from './host.js';
import type { Supervised, SupervisedParent } from './supervised.js';
import { Supervisor } from './supervisor.js';

export class Root implements SupervisedParent {
  readonly #host: Host;
  readonly #onFailed: (error: Error) => void;
  readonly #tops: Supervisor[] = [];
  readonly #families = new Set<Supervisor>();

  constructor(host: Host, onFailed: (error: Error) => void) {
    this.#host = host;
    this.#onFailed = onFailed;
  }

  spawn(spec: ChildSpec<never>): string {
    const family = Supervisor.family(this.#host, '', {
      onFailed: this.#onFailed,
      onEmpty: () => {
        this.#families.delete(family);
        this.#tops.splice(this.#tops.indexOf(family), 1);
      },
    });
    const ref = family.spawn(spec);
    this.#families.add(family);
    this.#tops.push(family);
    return ref.path;
  }

  supervise(spec: SupervisorSpec): void {
    const supervisor = Supervisor.declared(this.#host, this, '', spec);
    this.#tops.push(supervisor);
    void supervisor.start();
  }

  ended(_child: Supervised, _reason: StopReason, error: Error | undefined): void {
    this.#onFailed(error ?? new Error('a top-level supervisor ended'));
  }

  crash(path: string, error: Error): boolean {
    return this.#tops.some((top) => top.crash(path, error));
  }

  tree(): readonly TreeNode[] {
    return this.#tops.flatMap((top) => (this.#families.has(top) ? top.tree().children : [top.tree()]));
  }

  async stop(): Promise<void> {
    for (const top of this.#tops.toReversed()) await top.stop();
    for (const top of this.#tops) top.retire();
  }
}
