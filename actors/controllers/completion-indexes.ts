/** Sets of completion indexes as Jobs write them: `1,3-5,7`. Pure. */
export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    if (part === '') continue;
    const [from = '', to = from] = part.split('-');
    for (let index = Number(from); index <= Number(to); index += 1) indexes.add(index);
  }
  return indexes;
}

export function formatIndexes(indexes: ReadonlySet<number>): string {
  const parts: string[] = [];
  let from: number | undefined;
  let last: number | undefined;
  const close = () => {
    if (from === undefined || last === undefined) return;
    parts.push(from === last ? `${from}` : last === from + 1 ? `${from},${last}` : `${from}-${last}`);
  };
  for (const index of [...indexes].sort((a, b) => a - b)) {
    if (last !== undefined && index === last + 1) {
      last = index;
      continue;
    }
    close();
    from = index;
    last = index;
  }
  close();
  return parts.join(',');
}
