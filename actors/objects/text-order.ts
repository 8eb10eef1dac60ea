/** The order of Go's strings for text that is ASCII, and of JavaScript's for all other; never a language's own. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
