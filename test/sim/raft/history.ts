/**
 * What clients asked and what they were told, with the order in which it happened. Every value written is unique, so that
 * whoever reads it names the write that it saw.
 */
export interface Version {
  readonly value: string;
  readonly mod: number;
  readonly create: number;
  readonly version: number;
}

export type Intent =
  | { readonly type: 'put'; readonly entries: readonly (readonly [key: string, value: string])[] }
  | { readonly type: 'delete'; readonly key: string }
  /** Puts when the key's mod revision is `expectedMod` (0: when it is absent), reads it otherwise. */
  | {
      readonly type: 'cas';
      readonly key: string;
      readonly expectedMod: number;
      readonly value: string;
    }
  /** `revision`: of that revision; otherwise the newest. */
  | {
      readonly type: 'read';
      readonly keys: readonly string[];
      readonly serializable: boolean;
      readonly revision?: number;
    }
  | { readonly type: 'revision' };

export type Outcome =
  | {
      readonly type: 'ok';
      /** The store's revision when it took effect. */
      readonly revision: number;
      readonly wrote: boolean;
      /** What it learned of keys: of a delete, the version that it deleted. */
      readonly seen: ReadonlyMap<string, Version | null>;
    }
  /** Certainly nothing happened. */
  | { readonly type: 'refused'; readonly why: string }
  | { readonly type: 'unknown'; readonly why: string };

export interface Recorded {
  readonly client: string;
  readonly intent: Intent;
  readonly outcome: Outcome;
  readonly call: number;
  readonly return: number;
}

export class History {
  readonly operations: Recorded[] = [];
  #moments = 0;
  #values = 0;

  /** Later than every moment before. */
  moment(): number {
    return ++this.#moments;
  }

  newValue(client: string): string {
    return `${client}-${++this.#values}`;
  }

  begin(client: string, intent: Intent): (outcome: Outcome) => void {
    const call = this.moment();
    return (outcome) => {
      this.operations.push({ client, intent, outcome, call, return: this.moment() });
    };
  }

  get acknowledgedWrites(): number {
    return this.operations.filter(({ outcome }) => outcome.type === 'ok' && outcome.wrote).length;
  }
}
