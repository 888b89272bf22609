/** The addresses of a node, which is both broker and controller. */
export interface NodeAddresses {
  /** Address for clients, `host:port`. */
  broker: string;
  /** Address of its controller for the other nodes. */
  controller: string;
}

/** The addresses that a node listens on, if they differ from those that others use. */
interface Listeners {
  broker: string;
  controller: string;
}

/** The settings of one node. Internal topics have a replica on up to three nodes, and topics are not created automatically. @param id counts from 1 */
export function nodeSettings(
  nodes: readonly NodeAddresses[],
  id: number,
  dataDirectory: string,
  listeners: Listeners = nodes[id - 1]!,
): Record<string, string> {
  const copies = String(Math.min(3, nodes.length));
  const inSync = nodes.length >= 3 ? '2' : '1';
  return {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    listeners: `PLAINTEXT://${listeners.broker},CONTROLLER://${listeners.controller}`,
    'advertised.listeners': `PLAINTEXT://${nodes[id - 1]!.broker}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    // Voters by setting and not in the log, so that kept data can be started on other ports.
    'controller.quorum.voters': nodes.map(({ controller }, index) => `${index + 1}@${controller}`).join(','),
    'log.dirs': dataDirectory,
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': '3',
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': '0',
    // A killed broker's partitions go to others, and it is let back in, once its old session is over; the default is 9 s.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'log.cleaner.dedupe.buffer.size': '2097152',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
  };
}
