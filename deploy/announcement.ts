/**
 * A member sees to it that the configuration says of it what is so: after a start with other addresses, and after an upgrade
 * from a version that wrote less. Level-triggered: whenever the configuration differs, until it does not.
 */
import type { MemberChange, StoreClient, StoreMemberInfo } from '../actors/store/index.js';
import { type Clock, dialAddress } from '../transport/index.js';

const retryMs = 1_000;

export interface AnnouncementOptions {
  readonly name: string;
  /** As it is. */
  readonly address: MemberChange;
  readonly client: StoreClient;
  readonly clock: Clock;
}

export class Announcement {
  readonly #options: AnnouncementOptions;
  #members: readonly StoreMemberInfo[] = [];
  #isRunning = false;
  #isOver = false;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
  }

  /** The configuration is this now. */
  check(members: readonly StoreMemberInfo[]): void {
    this.#members = members;
    if (!this.#isRunning) void this.#announce();
  }

  stop(): void {
    this.#isOver = true;
  }

  async #announce(): Promise<void> {
    const { client, clock, name, address } = this.#options;
    this.#isRunning = true;
    while (!this.#isOver && this.#isNews()) {
      try {
        this.#members = await client.memberUpdate(name, address);
      } catch {
        // No leader, or no member any more: another look later.
        await new Promise<void>((resolve) => void clock.setTimer(retryMs, resolve));
      }
    }
    this.#isRunning = false;
  }

  #isNews(): boolean {
    const { name, address } = this.#options;
    const known = this.#members.find((member) => member.name === name);
    if (known === undefined) return false;
    const { url, publicKey, title, clientUrls } = address;
    return (
      (url !== undefined && dialAddress(url) !== dialAddress(known.url ?? '')) ||
      publicKey !== known.publicKey ||
      title !== known.title ||
      clientUrls?.join() !== known.clientUrls?.join()
    );
  }
}
