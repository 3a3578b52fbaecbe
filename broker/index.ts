/** What the package offers to programs: a broker in their own process. */

export { type Address, Broker, type BrokerOptions } from './broker.ts';
export { ConfigurationError } from './config.ts';
