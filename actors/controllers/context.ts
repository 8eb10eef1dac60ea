/** What every controller is given: the API under the leader's fencing token, shared informers, events, the clock. */
import type { ApiClient, EventRecorder, InformerFactory } from '../client/index.js';
import type { Env } from '../runtime/index.js';

export interface ControllerContext {
  readonly env: Env;
  /** Every write through it carries the fencing token of the manager that leads. */
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly events: EventRecorder;
  /** A node that is silent for so long is unreachable; default 40 s. */
  readonly nodeGraceMs?: number;
}
