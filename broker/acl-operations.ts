/**
 * Bit fields of the operations that a client may do, as Metadata, DescribeCluster and
 * DescribeGroups give them: bit n stands for the operation with Kafka's id n. Without an
 * authorizer everybody may do everything that a resource knows.
 * Source: KIP-430; Kafka's AclOperation, AclEntry.supportedOperations.
 */

const Operation = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const;

type OperationName = keyof typeof Operation;

function bits(...operations: OperationName[]): number {
  return operations.reduce((field, name) => field | (1 << Operation[name]), 0);
}

/** Stands for "not asked for". */
export const OPERATIONS_NOT_ASKED = -2147483648;

export const TOPIC_OPERATIONS = bits(
  'read',
  'write',
  'create',
  'describe',
  'delete',
  'alter',
  'describeConfigs',
  'alterConfigs',
);

export const CLUSTER_OPERATIONS = bits(
  'create',
  'clusterAction',
  'describeConfigs',
  'alterConfigs',
  'idempotentWrite',
  'alter',
  'describe',
);

export const GROUP_OPERATIONS = bits(
  'read',
  'describe',
  'delete',
  'describeConfigs',
  'alterConfigs',
);
