/** Prints supervision trees for people: one line per actor, branches drawn. */
import type { TreeNode } from './actor.js';

export function formatTree(nodes: readonly TreeNode[]): string {
  const lines: string[] = [];
  let node: string | undefined;
  for (const top of nodes) {
    if (top.node !== node) lines.push(`kabuki://${top.node}`);
    node = top.node;
    const last = top === nodes.findLast((n) => n.node === top.node);
    print(top, '', last, lines);
  }
  return lines.join('\n');
}

function print(node: TreeNode, indent: string, last: boolean, lines: string[]): void {
  const facts = [
    ...(node.strategy && node.path !== '' ? [node.strategy] : []),
    node.state,
    ...(node.restarts > 0 ? [`restarts ${node.restarts}`] : []),
    ...(node.mailboxDepth > 0 ? [`mailbox ${node.mailboxDepth}`] : []),
  ];
  lines.push(
    `${indent}${last ? '└─' : '├─'} ${node.path.slice(node.path.lastIndexOf('/') + 1)} (${facts.join(', ')})`,
  );
  node.children.forEach((child, at) => {
    print(child, `${indent}${last ? '   ' : '│  '}`, at === node.children.length - 1, lines);
  });
}
