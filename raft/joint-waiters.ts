/** Calls whose change went in through a joint configuration, and that wait until it is left. */
import { RaftError } from './errors.js';

interface Waiter {
  readonly deadlineMs: number;
  resolve(): void;
  reject(error: RaftError): void;
}

export class JointWaiters {
  #waiters: Waiter[] = [];

  wait(deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => void this.#waiters.push({ deadlineMs, resolve, reject }));
  }

  left(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  expire(nowMs: number): void {
    const late = this.#waiters.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.#waiters = this.#waiters.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const { reject } of late) {
      reject(new RaftError('Timeout', 'the joint configuration was not left in time', { definite: false }));
    }
  }

  rejectAll(cause: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) {
      reject(
        new RaftError('Stopped', 'the member ended before the change was over', { definite: false, cause }),
      );
    }
  }
}
