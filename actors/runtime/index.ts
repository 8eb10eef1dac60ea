export type {
  Actor,
  ActorContext,
  ChildSpec,
  StopReason,
  SupervisorSpec,
  TerminationReason,
  TreeNode,
} from './actor.js';
export {
  type ActorSystemOptions,
  createActorSystem,
  type DeadLetter,
  type RunningActorSystem,
} from './actor-system.js';
export { AskError, type AskErrorCode } from './ask-error.js';
export type { Activation, Engine } from './engine.js';
export type { Env } from './env.js';
export { createRealEnv, realClock, type RealEnvOptions, realRandom } from './env-real.js';
export {
  type RunLimits,
  type SimulatedNode,
  Simulation,
  SimulationError,
  type SimulationErrorCode,
  type SimulationOptions,
} from './env-sim.js';
export { limits } from './limits.js';
export { createNactEngine } from './nact-engine.js';
export { RecentlySeen } from './recently-seen.js';
export { type ActorRef, actorRef, addressOf, type Message } from './ref.js';
export { seededRandom, uuidFrom } from './sfc32.js';
export { controlKinds } from './control.js';
export { type MessageShapes, misshapen, refShape } from './shape.js';
export { createSimEngine } from './sim-engine.js';
export { NondeterminismError, withGuards } from './sim-guards.js';
export type { ActorSystem, Cause, Sender } from './system.js';
export { formatTree } from './tree.js';
