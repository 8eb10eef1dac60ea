/** Lets a world go on, as `until` does, until the promise is settled. */
export async function settled<T>(
  promise: Promise<T>,
  until: (condition: () => boolean) => Promise<void>,
): Promise<T> {
  let done = false;
  const mark = () => {
    done = true;
  };
  promise.then(mark, mark);
  await until(() => done);
  return promise;
}
