/**
 * etcd's Cluster service: the members are those of the group's configuration, and are changed there. A member that is added
 * gets a name of its own for good, as etcd gives it an id: the name that its operator chose is only what it is called.
 */
import type { ClusterView, EtcdMember } from './cluster-view.js';
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberIdRequest,
  MembersResponse,
  MemberUpdateRequest,
} from './cluster-messages.js';
import { etcdLimits } from './limits.js';
import { type Call, service, unary } from './method.js';
import { MemberListRequest, MemberListResponse } from './rpc-messages.js';
import { isUrl } from '../member-address.js';
import { errors } from './status.js';

export function clusterService(view: ClusterView, newName: () => string) {
  const answer = (members: readonly EtcdMember[]) => ({
    header: view.header(),
    members: members.map((member) => ({ ...member, name: member.title })),
  });
  const nameOf = async (id: number, call: Call): Promise<string> => {
    const known = view.named(id) ?? (await view.ask(call)).find((member) => member.id === id);
    if (!known) throw errors.memberNotFound();
    return known.name;
  };
  return service('etcdserverpb.Cluster', {
    MemberList: unary(MemberListRequest, MemberListResponse, async ({ linearizable }, call) => {
      if (linearizable) {
        const { client } = await call.stores();
        view.header(await client.currentRevision({ timeoutMs: call.timeoutMs() }));
      }
      return answer(await view.ask(call, !linearizable));
    }),
    MemberAdd: unary(MemberAddRequest, MemberAddResponse, async ({ peerUrls, isLearner }, call) => {
      const url = onlyUrl(peerUrls);
      const { client } = await call.stores();
      if (isLearner) refuseLearner(await view.ask(call), url);
      const name = newName();
      const options = { learner: isLearner, timeoutMs: call.timeoutMs() };
      const found = await client.memberAdd(name, { node: `${name}.store`, url }, options);
      const response = answer(view.seen(found));
      const member = response.members.find(({ id }) => id === view.idOf(name));
      return { ...response, ...(member && { member }) };
    }),
    MemberRemove: unary(MemberIdRequest, MembersResponse, async ({ id }, call) => {
      const name = await nameOf(id, call);
      const { client } = await call.stores();
      return answer(view.seen(await client.memberRemove(name, { timeoutMs: call.timeoutMs() })));
    }),
    MemberUpdate: unary(MemberUpdateRequest, MembersResponse, async ({ id, peerUrls }, call) => {
      const change = { url: onlyUrl(peerUrls) };
      const name = await nameOf(id, call);
      const { client } = await call.stores();
      return answer(view.seen(await client.memberUpdate(name, change, { timeoutMs: call.timeoutMs() })));
    }),
    MemberPromote: unary(MemberIdRequest, MembersResponse, async ({ id }, call) => {
      const name = await nameOf(id, call);
      const { client } = await call.stores();
      return answer(view.seen(await client.memberPromote(name, { timeoutMs: call.timeoutMs() })));
    }),
  });
}

/** As many as etcd has; of one that there is already the store says so. */
function refuseLearner(members: readonly EtcdMember[], url: string): void {
  const learners = members.filter((member) => member.isLearner);
  const isKnown = members.some(({ peerUrls }) => peerUrls.includes(url));
  if (learners.length >= etcdLimits.learnersMax && !isKnown) throw errors.tooManyLearners();
}

/** A link listens at one address. */
function onlyUrl(peerUrls: readonly string[]): string {
  const [url, ...more] = peerUrls;
  if (more.length > 0 || !isUrl(url)) throw errors.badMemberUrls();
  return url;
}
