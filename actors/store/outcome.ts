/** The state machine answers refusals as values; whoever asked for one command throws them. */
import { KvError } from 'raft-consensus';

export function unwrap<T>(outcome: T | KvError): T {
  if (outcome instanceof KvError) throw outcome;
  return outcome;
}
