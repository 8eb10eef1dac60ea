/**
 * Keeps a machine's links on the heels of the store's members. The machine's own member says what the configuration is; once that
 * member was removed it hears of no change any more, and the others are asked now and then.
 */
import type { StoreClient, StoreMemberInfo } from '../actors/store/index.js';
import type { Clock } from '../transport/index.js';

const askIntervalMs = 5_000;

export interface MemberWatchOptions {
  /** The machine's own member. */
  readonly name: string;
  readonly client: Pick<StoreClient, 'members'>;
  readonly clock: Clock;
  follow(members: readonly StoreMemberInfo[]): void;
}

export class MemberWatch {
  readonly #options: MemberWatchOptions;
  #isAsking = false;
  #belongs = false;

  constructor(options: MemberWatchOptions) {
    this.#options = options;
  }

  /** The machine's own member says that the members are these now. */
  check(members: readonly StoreMemberInfo[]): void {
    this.#options.follow(members);
    this.#belongs = members.some(({ name }) => name === this.#options.name);
    if (!this.#belongs && !this.#isAsking) void this.#ask();
  }

  async #ask(): Promise<void> {
    const { client, clock, follow } = this.#options;
    this.#isAsking = true;
    while (!this.#belongs) {
      await new Promise<void>((resolve) => void clock.setTimer(askIntervalMs, resolve));
      if (this.#belongs) break;
      try {
        follow(await client.members({ timeoutMs: askIntervalMs }));
      } catch {
        // Nobody leads, or nobody is reached: another look later.
      }
    }
    this.#isAsking = false;
  }
}
