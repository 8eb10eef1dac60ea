/**
 * The kinds of letters that go from machine to machine, for faults that are aimed at some: whatever a boundary takes in (decision
 * 18), and the frames of the links. docs/faults.md lists them.
 */
import { apiReplies, apiServerMessages } from '../actors/apiserver/index.js';
import { kubeletMessages, kubeletReplies } from '../actors/kubelet/index.js';
import { controlKinds } from '../actors/runtime/index.js';
import { storeLetterKinds } from '../actors/store/index.js';
import { linkKinds } from '../transport/index.js';

export const letterKinds: readonly string[] = [
  ...storeLetterKinds,
  ...[apiServerMessages, apiReplies, kubeletMessages, kubeletReplies].flatMap((shapes) =>
    Object.keys(shapes),
  ),
  ...controlKinds,
  ...linkKinds,
];

const nearMax = 4;

/** Throws for the first that is no kind, with those near it. */
export function checkKinds(kinds: readonly string[]): void {
  const wrong = kinds.find((kind) => !letterKinds.includes(kind));
  if (wrong === undefined) return;
  const near = nearTo(wrong);
  const hint = near.length > 0 ? `near it are ${near.join(', ')}; ` : '';
  throw new Error(
    `no letter between machines is of the kind ${JSON.stringify(wrong)}: ${hint}docs/faults.md lists all`,
  );
}

/** Nearest first: mistyped by a letter or three, or a part of a name. */
function nearTo(word: string): string[] {
  const typed = word.toLowerCase();
  if (typed === '') return [];
  return letterKinds
    .map((kind) => {
      const name = kind.toLowerCase();
      const isPart = name.includes(typed) || typed.includes(name);
      return { kind, far: isPart ? 0 : distance(typed, name) };
    })
    .filter(({ kind, far }) => far <= Math.min(3, kind.length / 3))
    .toSorted((a, b) => a.far - b.far || a.kind.length - b.kind.length)
    .slice(0, nearMax)
    .map(({ kind }) => kind);
}

/** Letters to add, take away or change (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (letter === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
