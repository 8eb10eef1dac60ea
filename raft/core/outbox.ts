/** What waits to leave the core in the next `Ready`: letters, those that vouch for what is not durable yet, answers to reads. */
import type { AppendAccepted, Message } from './messages.js';
import type { ReadState } from './ready.js';

export interface Outgoing {
  readonly messages: readonly Message[];
  readonly readStates: readonly ReadState[];
  readonly droppedReads: readonly number[];
}

export class Outbox {
  #messages: Message[] = [];
  #afterPersist: Message[] = [];
  #readStates: ReadState[] = [];
  #droppedReads: number[] = [];

  /** Of what leaves without the disk. */
  get isEmpty(): boolean {
    return this.#messages.length === 0 && this.#readStates.length === 0 && this.#droppedReads.length === 0;
  }

  send(message: Message): void {
    this.#messages.push(message);
  }

  /** Leaves when everything that is to be saved by now is durable. */
  sendAfterPersist(message: Message): void {
    this.#afterPersist.push(message);
  }

  /** One acknowledgement for all appends of a batch: it covers everything up to its index. */
  acknowledge(accepted: AppendAccepted): void {
    const last = this.#afterPersist.at(-1);
    if (last?.type === 'append-accepted' && last.to === accepted.to && last.term === accepted.term) {
      if (last.index >= accepted.index) return;
      this.#afterPersist.pop();
    }
    this.#afterPersist.push(accepted);
  }

  answerRead(state: ReadState): void {
    this.#readStates.push(state);
  }

  dropReads(contexts: readonly number[]): void {
    this.#droppedReads.push(...contexts);
  }

  /** Nothing is left to be saved: all that the letters vouch for is durable. */
  release(): void {
    for (const message of this.#afterPersist) this.#messages.push(message);
    this.#afterPersist.length = 0;
  }

  takeAfterPersist(): readonly Message[] {
    const messages = this.#afterPersist;
    this.#afterPersist = [];
    return messages;
  }

  take(): Outgoing {
    const outgoing = {
      messages: this.#messages,
      readStates: this.#readStates,
      droppedReads: this.#droppedReads,
    };
    this.#messages = [];
    this.#readStates = [];
    this.#droppedReads = [];
    return outgoing;
  }
}
