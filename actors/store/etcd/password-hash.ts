/** What hashes of passwords look like: bcrypt's, version, cost, and 53 characters of salt and hash (etcd server/auth). */
const form = /^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$/;

export function isPasswordHash(text: string): boolean {
  return form.test(text);
}
