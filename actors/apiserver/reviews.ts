/**
 * Requests that are questions about users: answered at once, nothing is stored (authorization.k8s.io,
 * authentication.k8s.io). `bindings` stands here too: a create that creates nothing.
 */
import type { TokenReview } from '../objects/types/authentication.js';
import type {
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectAccessReviewSpec,
  SelfSubjectRulesReview,
  SubjectAccessReview,
} from '../objects/types/authorization.js';
import { accountExistsIn, verifyToken } from './authentication.js';
import type { Attributes } from './authorizer.js';
import type { ApiResponse, Identity } from './request.js';
import { bytesResponse } from './resource-view.js';
import { jsonBytes } from './object-bytes.js';
import { type Handler, nowText, type RequestContext } from './server-context.js';
import { badRequest, invalid } from './status.js';
import { createBinding } from './subresources/binding.js';
import { readBody } from './verbs/body.js';

/** By `group/resource`. */
export const reviewHandlers: Readonly<Record<string, Handler>> = {
  '/bindings': createBinding,
  'authorization.k8s.io/selfsubjectaccessreviews': selfSubjectAccessReview,
  'authorization.k8s.io/subjectaccessreviews': subjectAccessReview,
  'authorization.k8s.io/localsubjectaccessreviews': subjectAccessReview,
  'authorization.k8s.io/selfsubjectrulesreviews': selfSubjectRulesReview,
  'authentication.k8s.io/selfsubjectreviews': selfSubjectReview,
  'authentication.k8s.io/tokenreviews': tokenReview,
};

async function selfSubjectAccessReview(context: RequestContext): Promise<ApiResponse> {
  const review = readBody<SelfSubjectAccessReview>(context, context.resource);
  return answer(context, review, await decide(context, context.identity, review.spec));
}

async function subjectAccessReview(context: RequestContext): Promise<ApiResponse> {
  const review = readBody<SubjectAccessReview | LocalSubjectAccessReview>(context, context.resource);
  const { spec } = review;
  if (!spec?.user && !spec?.groups?.length) {
    throw invalid(context.resource, '', [
      {
        reason: 'FieldValueRequired',
        field: 'spec.user',
        message: 'Required value: at least one of user or group must be specified',
      },
    ]);
  }
  const { namespace } = context.info;
  if (context.resource.namespaced) {
    if (!spec.resourceAttributes || spec.resourceAttributes.namespace !== namespace) {
      throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
    }
  }
  const identity: Identity = { username: spec.user ?? '', groups: spec.groups ?? [] };
  return answer(context, review, await decide(context, identity, spec));
}

async function decide(
  { server, resource }: RequestContext,
  identity: Identity,
  spec: SelfSubjectAccessReviewSpec | undefined,
): Promise<unknown> {
  const { resourceAttributes, nonResourceAttributes } = spec ?? {};
  if (Boolean(resourceAttributes) === Boolean(nonResourceAttributes)) {
    throw invalid(resource, '', [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.resourceAttributes',
        message:
          'Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified',
      },
    ]);
  }
  const attributes: Attributes = resourceAttributes
    ? {
        type: 'resource',
        verb: resourceAttributes.verb ?? '',
        group: resourceAttributes.group ?? '',
        version: resourceAttributes.version ?? '',
        resource: resourceAttributes.resource ?? '',
        subresource: resourceAttributes.subresource ?? '',
        namespace: resourceAttributes.namespace ?? '',
        name: resourceAttributes.name ?? '',
      }
    : { type: 'path', verb: nonResourceAttributes?.verb ?? '', path: nonResourceAttributes?.path ?? '' };
  await server.cache.fresh();
  const { allowed, reason } = server.authorizer.authorize(identity, attributes);
  return { allowed, ...(reason && { reason }) };
}

async function selfSubjectRulesReview(context: RequestContext): Promise<ApiResponse> {
  const review = readBody<SelfSubjectRulesReview>(context, context.resource);
  const namespace = review.spec?.namespace ?? '';
  if (namespace === '') throw badRequest('no namespace on request');
  await context.server.cache.fresh();
  const rules = context.server.authorizer.rulesFor(context.identity, namespace);
  return answer(context, review, { ...rules, incomplete: false });
}

async function selfSubjectReview(context: RequestContext): Promise<ApiResponse> {
  const review = readBody(context, context.resource);
  return answer(context, review, { userInfo: userInfo(context.identity) });
}

async function tokenReview(context: RequestContext): Promise<ApiResponse> {
  const { server } = context;
  const review = readBody<TokenReview>(context, context.resource);
  const token = review.spec?.token ?? '';
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const wanted = review.spec?.audiences ?? [];
  await server.cache.fresh();
  const claims = await server.tokens?.verify(token);
  const identity = await verifyToken(
    token,
    {
      ...(server.tokens && { tokens: server.tokens }),
      accountExists: accountExistsIn(server.cache),
      nowMs: () => server.system.env.clock.nowMs(),
    },
    wanted,
  );
  if (!identity || !claims) {
    return answer(context, review, { error: 'invalid bearer token' });
  }
  const valid = wanted.length > 0 ? wanted : server.tokens!.audiences;
  return answer(context, review, {
    authenticated: true,
    user: userInfo(identity),
    audiences: claims.audiences.filter((audience) => valid.includes(audience)),
  });
}

function userInfo({ username, uid, groups, extra }: Identity): unknown {
  return { username, ...(uid && { uid }), groups, ...(extra && { extra }) };
}

function answer(context: RequestContext, review: object, status: unknown): ApiResponse {
  const { metadata } = review as { metadata?: object };
  const named = { ...metadata, creationTimestamp: nowText(context.server) };
  return bytesResponse(201, jsonBytes({ ...review, metadata: named, status }), context.form);
}
