/** What the compiler must refuse. The build of this file is the test. */
import { strict as assert } from 'node:assert';
import { type ActorContext, type ActorRef, actorRef } from '../../../actors/runtime/index.js';
import { nodeId } from '../../../transport/index.js';

type Cat = { readonly type: 'Meow' };
type Dog = { readonly type: 'Bark' };

describe('types of refs', () => {
  it('a ref that accepts more stands where less is wanted, never the other way round', () => {
    const both: ActorRef<Cat | Dog> = actorRef(nodeId('n1'), '/zoo');
    const cats: ActorRef<Cat> = both;
    // @ts-expect-error: dogs would reach an actor that knows only cats
    const wrong: ActorRef<Cat | Dog> = cats;
    // @ts-expect-error: unrelated messages
    const unrelated: ActorRef<Dog> = cats;
    assert.equal(wrong, unrelated);
  });

  it('a context sends only what the ref accepts', () => {
    const misuse = (ctx: ActorContext<Cat>, cats: ActorRef<Cat>) => {
      // @ts-expect-error: a cat does not bark
      ctx.tell(cats, { type: 'Bark' } satisfies Dog);
      // @ts-expect-error: the timer's message goes to the actor itself
      ctx.setTimer('t', 1, { type: 'Bark' });
    };
    assert.equal(misuse.length, 2);
  });
});
