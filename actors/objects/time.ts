/**
 * Times as Kubernetes prints them: Time in whole seconds, MicroTime with six decimals, both UTC with `Z` (RFC
 * 3339).
 */
import { ObjectError } from './errors.js';

const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/** Time, from milliseconds since the epoch. */
export function formatTime(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** MicroTime, from milliseconds since the epoch; fractions of a millisecond are kept. */
export function formatMicroTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const micros = Math.floor((ms - seconds * 1000) * 1000);
  return `${formatTime(seconds * 1000).slice(0, 19)}.${String(micros).padStart(6, '0')}Z`;
}

/** Milliseconds since the epoch. Throws BAD_VALUE. */
export function parseTime(text: string): number {
  const { seconds, nanos } = parseTimestamp(text);
  return seconds * 1000 + nanos / 1e6;
}

/** Throws BAD_VALUE. */
export function parseTimestamp(text: string): { readonly seconds: number; readonly nanos: number } {
  const match = pattern.exec(text);
  const ms = match ? Date.parse(`${text.slice(0, 19).toUpperCase()}${match[8]!.toUpperCase()}`) : Number.NaN;
  if (!match || Number.isNaN(ms)) {
    throw new ObjectError(
      'BAD_VALUE',
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse it`,
    );
  }
  return { seconds: ms / 1000, nanos: Number((match[7] ?? '0').padEnd(9, '0')) };
}

/** Throws BAD_VALUE. */
export function canonicalTime(text: string): string {
  return formatTime(parseTimestamp(text).seconds * 1000);
}

/** Throws BAD_VALUE. */
export function canonicalMicroTime(text: string): string {
  const { seconds, nanos } = parseTimestamp(text);
  return printMicroTime(seconds, nanos);
}

export function printMicroTime(seconds: number, nanos: number): string {
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0');
  return `${formatTime(seconds * 1000).slice(0, 19)}.${micros}Z`;
}
