export {
  makeTestCluster,
  type TestCluster,
  type TestClusterExpectation,
  type TestClusterOptions,
} from './make-test-cluster.ts';
export { type RunWorkloadOptions, runWorkload, type WorkloadServer } from './run-workload.ts';
export { type VerifyTestClusterOptions, verifyTestCluster } from './verify-test-cluster.ts';
