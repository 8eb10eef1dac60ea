/** `3` or `25%` of a total (apimachinery: intstr.GetScaledValueFromIntOrPercent). */
export function shareOf(value: number | string, total: number, round: (x: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseInt(value, 10) * total) / 100);
}
