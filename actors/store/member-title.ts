/**
 * What an operator may call a member: a DNS label (RFC 1123), as Kubernetes has it of nodes. It stands in commands, tables and
 * logs. Looked at where a name comes in; a member that was called otherwise before keeps its name.
 */
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What is wrong with it; undefined: nothing. */
export function wrongTitle(title: string): string | undefined {
  if (label.test(title)) return undefined;
  const rule = 'at most 63 lower-case letters, digits and hyphens, with no hyphen at either end';
  return `a member's name is a DNS label, ${rule}, not ${JSON.stringify(title.slice(0, 80))}`;
}
