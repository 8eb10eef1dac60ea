/** Ticks since the last word of a leader, or since a campaign began, and how many are patience enough. */
import type { CoreOptions } from './options.js';

export class ElectionTimer {
  readonly #options: CoreOptions;
  #elapsedTicks = 0;
  #timeoutTicks = 0;

  constructor(options: CoreOptions) {
    this.#options = options;
  }

  get hasRunOut(): boolean {
    return this.#elapsedTicks >= this.#timeoutTicks;
  }

  /** As long as nobody whose timer was restarted with this one may campaign. */
  get isWithinMinimum(): boolean {
    return this.#elapsedTicks < this.#options.electionTicks;
  }

  tick(): void {
    this.#elapsedTicks++;
  }

  /** Patience is drawn anew, what has passed of it stays: the limits have changed. */
  redraw(): void {
    const elapsedTicks = this.#elapsedTicks;
    this.startWaiting();
    this.#elapsedTicks = elapsedTicks;
  }

  /** The same patience again. */
  restart(): void {
    this.#elapsedTicks = 0;
  }

  /** Patience is drawn anew, so that members do not campaign together (Raft §5.2). */
  startWaiting(): void {
    const { electionTicks, random } = this.#options;
    this.#elapsedTicks = 0;
    this.#timeoutTicks = electionTicks + Math.floor(random() * electionTicks);
  }

  /**
   * There is no leader to be patient with. Short, and drawn as well: the others know it, too. Who is wrong about it does no
   * harm, since those who hear the leader refuse its pre-votes.
   */
  hurry(): void {
    const { electionTicks, random } = this.#options;
    this.#elapsedTicks = 0;
    this.#timeoutTicks = 1 + Math.floor((random() * electionTicks) / 2);
  }

  /**
   * A campaign waits for answers only, not for a leader's lease to end; pre-votes make an early retry
   * harmless.
   */
  startCampaign(): void {
    const { electionTicks, random } = this.#options;
    const ticksMin = Math.ceil(electionTicks / 2);
    this.#elapsedTicks = 0;
    this.#timeoutTicks = ticksMin + Math.floor(random() * (electionTicks - ticksMin + 1));
  }
}
