/** Kubernetes quantities as plain numbers, exact enough for what a kubelet prints and compares. */
const factors: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** `500m` is 0.5, `1Ki` is 1024. Throws TypeError on anything else. */
export function quantityValue(text: string | number): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i)?$/.exec(String(text));
  if (match === null) throw new TypeError(`${JSON.stringify(text)} is not a quantity`);
  return Number(match[1]) * factors[match[2] ?? '']!;
}
