/**
 * Whether a server's answer to a request for progress can be trusted: older ones may say that a watch has had everything up to a
 * revision while events are still on their way (etcd-io/etcd #15220; kube-apiserver draws the same line).
 */
export function saysProgressInOrder(version: string): boolean {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (!match) return false;
  const [major, minor, patch] = match.slice(1).map(Number) as [number, number, number];
  if (major !== 3) return major > 3;
  if (minor === 4) return patch >= 31;
  if (minor === 5) return patch >= 13;
  return minor > 5;
}
