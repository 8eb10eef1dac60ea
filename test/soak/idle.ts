/** Step `idle`: nothing is asked of the cluster; its memory must not grow. Reports the slope of the second half. */
import { residentMemory, type Stage } from './stage.js';

const sampleMs = 60_000;

export async function idleStep({ cluster, minutes, say }: Stage): Promise<string | undefined> {
  if (minutes === 0) return 'no --minutes given';
  const samples: Map<string, number>[] = [];
  for (let minute = 0; minute <= minutes; minute += 1) {
    if (minute > 0) await new Promise((resolve) => setTimeout(resolve, sampleMs));
    const resident = await residentMemory(cluster, true);
    samples.push(new Map(resident.map(({ name, rssMiB }) => [name, rssMiB])));
    say(
      `minute ${minute}: ${resident.map(({ name, rssMiB }) => `${name} ${rssMiB.toFixed(1)}`).join(', ')} MiB`,
    );
  }
  const half = samples.slice(Math.floor(samples.length / 2));
  for (const name of samples[0]?.keys() ?? []) {
    const grown = slope(half.map((sample) => sample.get(name) ?? Number.NaN));
    say(`${name}: ${grown >= 0 ? '+' : ''}${grown.toFixed(2)} MiB/min over the second half`);
  }
  return undefined;
}

/** Least squares, per sample. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const covariance = values.reduce((sum, value, i) => sum + (i - middle) * (value - mean), 0);
  const variance = values.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
  return variance === 0 ? 0 : covariance / variance;
}
