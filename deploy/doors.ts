/** Whom machines write to (actors/runtime, `doors`): all other actors are for those of their own node. The simulator has the same. */
export const doors: readonly string[] = ['/apiserver', '/kubelet', '/store'];
