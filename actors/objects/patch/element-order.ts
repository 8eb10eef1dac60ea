/** The order of merged lists: a strategic merge patch may give an order for the elements that it knows of. */

export type SameElement = (a: unknown, b: unknown) => boolean;

/** By position in `order`; what is not in it goes last, as it stood. */
export function sortByOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  same: SameElement,
): unknown[] {
  const position = (entry: unknown) => {
    const index = order.findIndex((each) => same(each, entry));
    return index === -1 ? order.length : index;
  };
  return list
    .map((entry) => ({ entry, at: position(entry) }))
    .sort((a, b) => a.at - b.at)
    .map(({ entry }) => entry);
}

/**
 * Weaves two sorted lists: an element of `left` comes first only if the server had it before that of `right`.
 */
export function mergeSortedLists(
  left: readonly unknown[],
  right: readonly unknown[],
  serverOrder: readonly unknown[],
  same: SameElement,
): unknown[] {
  const position = (entry: unknown) => serverOrder.findIndex((each) => same(each, entry));
  const woven: unknown[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const leftAt = position(left[l]);
    const rightAt = position(right[r]);
    if (leftAt >= 0 && rightAt >= 0 && leftAt < rightAt) woven.push(left[l++]);
    else woven.push(right[r++]);
  }
  return [...woven, ...left.slice(l), ...right.slice(r)];
}
