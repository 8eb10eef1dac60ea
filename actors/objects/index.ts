/** The object machinery: what Kubernetes objects are, pure of actors and I/O. */
export { ObjectError, type StatusCause } from './errors.js';
export { objectLimits } from './limits.js';
export { compareText } from './text-order.js';
export {
  Registry,
  allResources,
  apiVersionOf,
  builtinRegistry,
  compareVersions,
  parseApiVersion,
} from './registry.js';
export type { GroupVersion, ResourceInfo, SubresourceInfo } from './registry.js';
export { schemaTable } from './schema-table.js';
export type { Definition, Field, FieldType, GroupVersionKind } from './schema-table.js';
export {
  LabelSelector,
  labelSelectorFromMap,
  labelSelectorFromObject,
  matchEverything,
  matchNothing,
  parseLabelSelector,
} from './selectors.js';
export type { LabelRequirement, LabelSelectorObject, Labels } from './selectors.js';
export { FieldSelector, everyField, parseFieldSelector } from './field-selectors.js';
export type { FieldRequirement, SelectableKind } from './field-selectors.js';
export { applyJsonPatch } from './patch/json-patch.js';
export { applyMergePatch } from './patch/merge-patch.js';
export {
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMilliValue,
  quantityValue,
} from './quantity.js';
export type { Quantity, QuantityFormat } from './quantity.js';
export { canonicalMicroTime, canonicalTime, formatMicroTime, formatTime, parseTime } from './time.js';
export { bodyFormatOf, decodeObject, decodeValue, parseBody } from './decode.js';
export type { BodyFormat, Decoded, ExpectedKind, FieldValidation } from './decode.js';
export { isProtobuf } from './protobuf-envelope.js';
export { type DecodedProtobuf, decodeProtobuf, decodeProtobufAs } from './protobuf-reader.js';
export type { JsonObject } from './typed.js';
export { toTable } from './table/table.js';
export type { IncludeObject, Table, TableOptions, TableRow } from './table/table.js';
export { columnsOf, printer } from './table/columns.js';
export type { Column, Printer } from './table/columns.js';
export { printDuration } from './table/cells.js';
export { summarisePod } from './table/pod-status.js';
export type { PodSummary } from './table/pod-status.js';
export { applyDefaults } from './defaults/defaults.js';
export { prepareForCreate, qosClassOf } from './defaults/prepare.js';
export { applyStrategicMergePatch } from './patch/strategic-merge-patch.js';
export {
  aggregatedDiscovery,
  aggregatedDiscoveryType,
  etagOf,
  groupDocument,
  groupList,
  legacyVersions,
  resourceList,
  storageVersionHash,
} from './discovery.js';
export { OpenApi, kubernetesVersion } from './openapi.js';
export type { OpenApiDocument } from './openapi.js';
export { validateCreate, validateSubresourceUpdate, validateUpdate } from './validation/validation.js';
export type { ValidatedKind } from './validation/metadata-validation.js';
export { FieldErrors, invalidObject } from './validation/field-errors.js';
export type { FieldError } from './validation/field-errors.js';
export { checkDns1035Label, checkDns1123Label, checkDns1123Subdomain, checkQualifiedName } from './names.js';
export { applyServerSide, sameContent, trackUpdate } from './apply/apply.js';
export type { ApplyRequest, UpdateRequest, WriteContext } from './apply/apply.js';
export { convertObject } from './conversion.js';
