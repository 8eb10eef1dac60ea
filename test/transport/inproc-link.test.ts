import { InprocNetwork } from '../../transport/index.js';
import { linkCases } from './link.case.js';
import { memoryWorld } from './memory-world.js';
import { SeededRandom, VirtualClock } from './virtual-clock.js';

for (const roundTrip of [false, true]) {
  linkCases(`in-process${roundTrip ? ', through the codec,' : ''}`, async () => {
    const clock = new VirtualClock();
    return memoryWorld(new InprocNetwork({ clock, random: new SeededRandom(1), roundTrip }), clock);
  });
}
