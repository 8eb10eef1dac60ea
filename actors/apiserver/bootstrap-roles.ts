/**
 * The roles and bindings that every cluster has from birth (Kubernetes: plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
 * Users and components of this system get what their work needs.
 */
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  Subject,
} from '../objects/types/rbac.js';

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];

function rule(verbs: readonly string[], groups: string, resources: string): PolicyRule {
  return {
    verbs: [...verbs],
    apiGroups: groups.split(' ').map((group) => (group === 'core' ? '' : group)),
    resources: resources.split(' '),
  };
}

function paths(...urls: readonly string[]): PolicyRule {
  return { verbs: ['get'], nonResourceURLs: [...urls] };
}

const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' };

function clusterRole(name: string, rules: PolicyRule[], more: Record<string, string> = {}): ClusterRole {
  return { metadata: { name, labels: { ...labels, ...more }, annotations }, rules };
}

function bind(name: string, role: string, ...subjects: readonly string[]): ClusterRoleBinding {
  return {
    metadata: { name, labels, annotations },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: subjects.map(subjectOf),
  };
}

/** `User name`, `Group name`, `ServiceAccount namespace/name` */
function subjectOf(text: string): Subject {
  const [kind = '', name = ''] = text.split(' ');
  if (kind !== 'ServiceAccount') return { kind, name, apiGroup: 'rbac.authorization.k8s.io' };
  const [namespace = '', account = ''] = name.split('/');
  return { kind, name: account, namespace };
}

const discoveryPaths = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
];

const viewRules: PolicyRule[] = [
  rule(
    read,
    'core',
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers ' +
      'replicationcontrollers/scale serviceaccounts services services/status bindings events limitranges ' +
      'namespaces namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas ' +
      'resourcequotas/status',
  ),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(
    read,
    'apps',
    'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets ' +
      'replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
  ),
  rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  rule(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
  rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  rule(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
  rule(read, 'events.k8s.io', 'events'),
];

const editRules: PolicyRule[] = [
  rule(read, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
  rule(['impersonate'], 'core', 'serviceaccounts'),
  rule(write, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
  rule(['create'], 'core', 'pods/eviction serviceaccounts/token'),
  rule(
    write,
    'core',
    'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets ' +
      'serviceaccounts services services/proxy',
  ),
  rule(
    write,
    'apps',
    'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets ' +
      'statefulsets/scale',
  ),
  rule(write, 'autoscaling', 'horizontalpodautoscalers'),
  rule(write, 'batch', 'cronjobs jobs'),
  rule(write, 'policy', 'poddisruptionbudgets'),
  rule(write, 'networking.k8s.io', 'ingresses networkpolicies'),
  rule([...read, ...write], 'coordination.k8s.io', 'leases'),
];

const adminRules: PolicyRule[] = [
  rule(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule([...read, ...write], 'rbac.authorization.k8s.io', 'rolebindings roles'),
];

const eventRules = rule(['create', 'patch', 'update'], 'core events.k8s.io', 'events');
const reviewRules = [
  rule(['create'], 'authentication.k8s.io', 'tokenreviews'),
  rule(['create'], 'authorization.k8s.io', 'subjectaccessreviews'),
];
const leaderElection = [
  rule(['create', 'get', 'list', 'update', 'patch', 'watch'], 'coordination.k8s.io', 'leases'),
  rule(['create', 'get', 'list', 'update', 'patch', 'watch'], 'core', 'endpoints'),
];

export const clusterRoles: readonly ClusterRole[] = [
  clusterRole('cluster-admin', [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ]),
  clusterRole('view', viewRules, { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }),
  clusterRole('edit', [...editRules, ...viewRules], {
    'rbac.authorization.k8s.io/aggregate-to-admin': 'true',
  }),
  clusterRole('admin', [...adminRules, ...editRules, ...viewRules]),
  clusterRole('system:discovery', [paths(...discoveryPaths, '/version', '/version/')]),
  clusterRole('system:public-info-viewer', [paths('/healthz', '/livez', '/readyz', '/version', '/version/')]),
  clusterRole('system:monitoring', [
    paths(
      '/healthz',
      '/healthz/*',
      '/livez',
      '/livez/*',
      '/metrics',
      '/metrics/slis',
      '/readyz',
      '/readyz/*',
    ),
  ]),
  clusterRole('system:basic-user', [
    rule(['create'], 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
    rule(['create'], 'authentication.k8s.io', 'selfsubjectreviews'),
  ]),
  clusterRole('system:service-account-issuer-discovery', [
    paths('/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks'),
  ]),
  clusterRole('system:auth-delegator', reviewRules),
  clusterRole('system:kube-scheduler', [
    eventRules,
    ...leaderElection,
    rule(
      read,
      'core',
      'nodes namespaces persistentvolumes persistentvolumeclaims replicationcontrollers services',
    ),
    rule([...read, 'delete'], 'core', 'pods'),
    rule(['create'], 'core', 'bindings pods/binding'),
    rule(['patch', 'update'], 'core', 'pods/status persistentvolumeclaims persistentvolumes'),
    rule(read, 'apps', 'replicasets statefulsets'),
    rule(read, 'policy', 'poddisruptionbudgets'),
    rule(read, 'scheduling.k8s.io', 'priorityclasses'),
    rule(read, 'storage.k8s.io', 'csidrivers csinodes csistoragecapacities storageclasses volumeattachments'),
    rule(read, 'resource.k8s.io', '*'),
    ...reviewRules,
  ]),
  clusterRole('system:kube-controller-manager', [
    // Upstream gives each controller an account of its own; here the manager is one identity for all of them.
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['get'], nonResourceURLs: ['*'] },
  ]),
  clusterRole('system:node', [
    eventRules,
    ...reviewRules,
    rule(
      read,
      'core',
      'services nodes pods configmaps secrets persistentvolumeclaims persistentvolumes endpoints',
    ),
    rule(['create', 'update', 'patch', 'delete'], 'core', 'nodes'),
    rule(['update', 'patch'], 'core', 'nodes/status pods/status persistentvolumeclaims/status'),
    rule(['create', 'delete'], 'core', 'pods'),
    rule(['create'], 'core', 'pods/eviction serviceaccounts/token'),
    rule(['get'], 'core', 'serviceaccounts'),
    rule([...read, ...write], 'coordination.k8s.io', 'leases'),
    rule(read, 'node.k8s.io', 'runtimeclasses'),
    rule(read, 'discovery.k8s.io', 'endpointslices'),
    rule([...read, 'create', 'update', 'patch', 'delete'], 'storage.k8s.io', 'csinodes'),
    rule(read, 'storage.k8s.io', 'csidrivers volumeattachments'),
    rule(['create', 'get', 'list', 'watch'], 'certificates.k8s.io', 'certificatesigningrequests'),
  ]),
  clusterRole('system:node-proxier', [
    eventRules,
    rule(read, 'core', 'services endpoints nodes pods namespaces'),
    rule(read, 'discovery.k8s.io', 'endpointslices'),
    rule(read, 'networking.k8s.io', 'servicecidrs networkpolicies'),
  ]),
  clusterRole('system:kube-dns', [
    rule(['list', 'watch'], 'core', 'endpoints services pods namespaces'),
    rule(['list', 'watch'], 'discovery.k8s.io', 'endpointslices'),
  ]),
  clusterRole('system:heapster', [
    rule(read, 'core', 'events namespaces nodes pods'),
    rule(read, 'apps', 'deployments'),
  ]),
  clusterRole('system:persistent-volume-provisioner', [
    rule(['create', 'delete', ...read], 'core', 'persistentvolumes'),
    rule([...read, 'update'], 'core', 'persistentvolumeclaims'),
    rule(read, 'storage.k8s.io', 'storageclasses'),
    rule(['watch'], 'core', 'events'),
    eventRules,
  ]),
  clusterRole('system:certificates.k8s.io:certificatesigningrequests:nodeclient', [
    rule(['create'], 'certificates.k8s.io', 'certificatesigningrequests/nodeclient'),
  ]),
  clusterRole('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', [
    rule(['create'], 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient'),
  ]),
  clusterRole('system:node-bootstrapper', [
    rule(['create', ...read], 'certificates.k8s.io', 'certificatesigningrequests'),
  ]),
  clusterRole('system:node-problem-detector', [
    rule(['get'], 'core', 'nodes'),
    rule(['patch'], 'core', 'nodes/status'),
    eventRules,
  ]),
];

export const clusterRoleBindings: readonly ClusterRoleBinding[] = [
  bind('cluster-admin', 'cluster-admin', 'Group system:masters'),
  bind('system:discovery', 'system:discovery', 'Group system:authenticated'),
  bind('system:basic-user', 'system:basic-user', 'Group system:authenticated'),
  bind(
    'system:public-info-viewer',
    'system:public-info-viewer',
    'Group system:authenticated',
    'Group system:unauthenticated',
  ),
  bind('system:monitoring', 'system:monitoring', 'Group system:monitoring'),
  bind(
    'system:service-account-issuer-discovery',
    'system:service-account-issuer-discovery',
    'Group system:serviceaccounts',
  ),
  bind('system:node', 'system:node', 'Group system:nodes'),
  bind('system:node-proxier', 'system:node-proxier', 'User system:kube-proxy'),
  bind('system:kube-scheduler', 'system:kube-scheduler', 'User system:kube-scheduler'),
  bind(
    'system:kube-controller-manager',
    'system:kube-controller-manager',
    'User system:kube-controller-manager',
  ),
  bind('system:kube-dns', 'system:kube-dns', 'ServiceAccount kube-system/kube-dns', 'User system:kube-dns'),
];

export const roles: readonly Role[] = [
  {
    metadata: {
      name: 'extension-apiserver-authentication-reader',
      namespace: 'kube-system',
      labels,
      annotations,
    },
    rules: [{ ...rule(read, 'core', 'configmaps'), resourceNames: ['extension-apiserver-authentication'] }],
  },
  {
    metadata: { name: 'system:controller:bootstrap-signer', namespace: 'kube-public', labels, annotations },
    rules: [
      rule(read, 'core', 'configmaps'),
      { ...rule(['update'], 'core', 'configmaps'), resourceNames: ['cluster-info'] },
      eventRules,
    ],
  },
];

export const roleBindings: readonly RoleBinding[] = [
  {
    metadata: {
      name: 'system::extension-apiserver-authentication-reader',
      namespace: 'kube-system',
      labels,
      annotations,
    },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'Role',
      name: 'extension-apiserver-authentication-reader',
    },
    subjects: ['User system:kube-controller-manager', 'User system:kube-scheduler'].map(subjectOf),
  },
];
