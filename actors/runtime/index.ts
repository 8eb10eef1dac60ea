export type {
  Actor,
  ActorContext,
  ChildSpec,
  StopReason,
  SupervisorSpec,
  TerminationReason,
  TreeNode,
} from './actor.js';
export type { Env } from './env.js';
export { type ActorRef, actorRef, addressOf, type Message } from './ref.js';
export type { ActorSystem, Cause, Sender } from './system.js';
