/** Limits of the object machinery. */
export const objectLimits = {
  /** Kubernetes' request body limit. */
  bodyBytesMax: 3 * 1024 * 1024,
  /** Nesting of JSON, YAML and protobuf. */
  depthMax: 128,
  /** Unknown or duplicate fields that are named before the rest is counted. */
  decodingIssuesMax: 100,
  /** YAML aliases that may expand, against bodies that blow up. */
  yamlAliasesMax: 100,
  /** Operations in one JSON patch (kube-apiserver: 10,000). */
  jsonPatchOperationsMax: 10_000,
  /** Terms in one selector. */
  selectorTermsMax: 1000,
  /** Sum of annotation keys and values. */
  annotationsBytesMax: 256 * 1024,
  /** Entries in metadata.managedFields before the oldest updates are merged into one. */
  updateManagersMax: 10,
} as const;
