/** The simulator's future: a binary heap ordered by (time, sequence), so that equal times keep their order. */
/** A dead node's events never happen; a paused one's are held back. */
export interface SimLife {
  readonly alive: boolean;
  readonly held?: (() => void)[] | undefined;
}

export interface SimEvent {
  readonly atMs: number;
  readonly seq: number;
  /** Whose event it is; it does not happen when its owner is dead. */
  readonly life: SimLife;
  readonly run: () => void;
  cancelled: boolean;
}

export class EventQueue {
  readonly #heap: SimEvent[] = [];
  #seq = 0;

  get length(): number {
    return this.#heap.length;
  }

  push(atMs: number, life: SimLife, run: () => void): SimEvent {
    this.#seq += 1;
    const event = { atMs, seq: this.#seq, life, run, cancelled: false };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt]!;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
    return event;
  }

  peek(): SimEvent | undefined {
    return this.#heap[0];
  }

  pop(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || first === last) return first;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= heap.length) break;
      if (childAt + 1 < heap.length && before(heap[childAt + 1]!, heap[childAt]!)) childAt += 1;
      const child = heap[childAt]!;
      if (!before(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);
}
