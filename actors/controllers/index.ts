/** The controllers of kube-controller-manager, one supervised actor each; they run on the master that leads. */
export { controllerManagerSpec, type ControllerManagerOptions } from './controller-manager.js';
