import { systemSuite } from './system.case.js';
import { realWorld, simWorld } from './world.js';

systemSuite('nact', realWorld);
systemSuite('the simulator', simWorld);
