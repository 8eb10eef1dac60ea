import { supervisionSuite } from './supervision.case.js';
import { realWorld, simWorld } from './world.js';

supervisionSuite('nact', realWorld);
supervisionSuite('the simulator', simWorld);
