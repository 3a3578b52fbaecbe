/**
 * DescribeCluster, API key 60, versions 0-2.
 *
 * Version 1: endpoint type; only brokers' endpoints are served here. Version 2: fenced brokers,
 * of which one node has none. Source: KIP-700, KIP-919; AuthHelper.computeDescribeClusterResponse.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  DescribeClusterRequest,
  DescribeClusterResponse,
} from '../../protocol/messages/describe-cluster.ts';
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from '../acl-operations.ts';
import { api } from '../api.ts';

const BROKER_ENDPOINT = 1;
const CONTROLLER_ENDPOINT = 2;

/** Throws where another kind of endpoint is wanted than that of a broker. */
function checkEndpoint(endpointType: number, version: number): void {
  if (endpointType === BROKER_ENDPOINT) return;
  if (endpointType === CONTROLLER_ENDPOINT) {
    throw new ProtocolError(
      version === 0 ? 'INVALID_REQUEST' : 'MISMATCHED_ENDPOINT_TYPE',
      'The request was sent to an endpoint of type BROKER, but wants one of type CONTROLLER',
    );
  }
  throw new ProtocolError(
    version === 0 ? 'INVALID_REQUEST' : 'UNSUPPORTED_ENDPOINT_TYPE',
    `Unsupported endpoint type ${endpointType}`,
  );
}

export const describeCluster = api({
  name: 'DescribeCluster',
  versions: '0-2',
  request: DescribeClusterRequest,
  response: DescribeClusterResponse,
  handle({ services, connection, apiVersion }, request) {
    checkEndpoint(request.endpointType, apiVersion);
    const { host, port } = connection.advertised;
    const rack = services.config.get('broker.rack');
    return {
      throttleTimeMs: 0,
      errorCode: ErrorCode.NONE,
      clusterId: services.clusterId,
      controllerId: services.nodeId,
      brokers: [{ brokerId: services.nodeId, host, port, rack }],
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? CLUSTER_OPERATIONS
        : OPERATIONS_NOT_ASKED,
    };
  },
  onError: (_context, _request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    errorCode,
    errorMessage,
    clusterId: '',
    brokers: [],
  }),
});
