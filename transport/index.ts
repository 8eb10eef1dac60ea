export type { Clock, Random, Timer } from './clock.js';
export type { Envelope, EnvelopeId, Incarnation, NodeId, TraceParent } from './envelope.js';
export { machineOf, nodeId } from './envelope.js';
export type { FaultRule, Verdict } from './faults/policy.js';
export { FaultPolicy } from './faults/policy.js';
export type { DropReason, Link, LinkEvents } from './link.js';
export type { Journal, JournalEvent, JournalEventType } from './trace/journal.js';
export { silentJournal } from './trace/journal.js';
