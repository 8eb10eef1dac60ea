/** What a member of a store says at /metrics: ours and etcd alike, in Prometheus' text format. */

/** By name, labels included as they are printed. */
export async function scrape(endpoint: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${endpoint}/metrics`);
  if (!response.ok) throw new Error(`${endpoint}/metrics answers ${response.status}`);
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    samples.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return samples;
}
