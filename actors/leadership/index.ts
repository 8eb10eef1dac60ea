export { leaderElection, type LeaderElectionMessage, type LeaderElectionOptions } from './leader-elector.js';
export { annotationOf, fencingToken, leaderAnnotation } from './lease-record.js';
export { electionClientLimits, type LeadershipLimits, leadershipLimits } from './limits.js';
