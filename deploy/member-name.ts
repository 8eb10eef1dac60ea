/** What people call a member of the store: its name in the group, unless its operator chose another. */
export function calledBy({ name, title }: { readonly name: string; readonly title?: string }): string {
  return title ?? name;
}
